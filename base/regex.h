// PCRE2 as this folder needs it: find the next match in well-formed UTF-8, whatever its length.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace crossover::tokenizer {

/// A compiled pattern (Unicode properties, compiled to machine code where PCRE2 can). Immutable;
/// any number of threads may match with it.
class Regex {
 public:
  /// `\s` and `\S` mean Unicode's White_Space. Error(kInvalidArgument) with PCRE2's words.
  explicit Regex(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Working memory of one thread's search.
  class Scratch {
   public:
    /// `most_steps`: what a search may try; words of any length need no limit, patterns from
    /// elsewhere do.
    explicit Scratch(uint32_t most_steps = UINT32_MAX);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

   private:
    friend class Regex;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  struct Match {
    size_t begin, end;
  };
  /// The first non-empty match at or behind `offset`. `text` must be well-formed UTF-8.
  /// Error(kOutOfMemory) where the search takes more memory or steps than it may.
  std::optional<Match> Find(std::string_view text, size_t offset, Scratch& scratch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace crossover::tokenizer
