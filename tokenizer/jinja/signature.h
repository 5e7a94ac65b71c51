// Which arguments a filter, test, method or function takes. All are declared, in the tables of
// built-ins, and checked in one place: so none is ever silently ignored.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

struct Signature {
  static constexpr size_t kMost = 5;

  std::array<std::string_view, kMost> parameters = {};  // in order; the rest is empty
  size_t required = 0;                                  // the first so many must be given
};

/// The arguments of a call, by parameter.
class Bound {
 public:
  /// `name` is what was called, for messages. Error(kUnsupported) names an argument that is not in
  /// the signature; Error(kInvalidArgument) one that is missing or given twice.
  Bound(std::string_view name, const Signature& signature, const Arguments& arguments);

  /// Null if it was not given.
  const Value* operator[](size_t parameter) const { return values_[parameter]; }
  /// Null if it was not given, or as none.
  const Value* Get(size_t parameter) const {
    const Value* value = values_[parameter];
    return value && value->is_none() ? nullptr : value;
  }
  bool IsTrue(size_t parameter) const { return values_[parameter] && values_[parameter]->truth(); }
  /// Error(kInvalidArgument) for what is no text.
  const std::string& Text(size_t parameter) const;
  int64_t Integer(size_t parameter, int64_t fallback) const {
    return values_[parameter] ? values_[parameter]->integer() : fallback;
  }

 private:
  std::string_view name_;
  const Signature& signature_;
  std::array<const Value*, Signature::kMost> values_ = {};
};

}  // namespace crossover::tokenizer::jinja
