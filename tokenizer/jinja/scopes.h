// Which values the names of a template stand for, from the outermost block to the innermost.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

class Scopes {
 public:
  explicit Scopes(Budget& budget) : budget_(budget) { Push(); }

  void Push();
  void Pop() { scopes_.pop_back(); }
  /// In the innermost scope.
  void Set(const std::string& name, Value value);
  /// Null if there is none.
  const Value* Find(std::string_view name) const;

  /// Takes all but the outermost scope away, for a macro, which does not see them.
  class Hidden {
   public:
    explicit Hidden(Scopes& scopes);
    ~Hidden();
    Hidden(const Hidden&) = delete;
    Hidden& operator=(const Hidden&) = delete;

   private:
    Scopes& scopes_;
    size_t first_before_;
  };

 private:
  struct Scope {
    std::map<std::string, Value, std::less<>> names;
    Reservation memory;
  };

  Budget& budget_;
  std::vector<Scope> scopes_;
  size_t first_ = 1;  // behind the outermost one, which of them can be seen
};

}  // namespace crossover::tokenizer::jinja
