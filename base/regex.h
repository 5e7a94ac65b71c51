// Regular expressions by PCRE2, whose searches are bounded in steps and keep their state on the
// heap: a text of any length ends neither the stack nor the patience.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace crossover {

/// A compiled pattern (Unicode properties, compiled to machine code where PCRE2 can). Immutable;
/// any number of threads may match with it.
class Regex {
 public:
  /// What texts are: well-formed UTF-8, in which `\s` and `\S` mean Unicode's White_Space, or any
  /// bytes, in which a character is a byte.
  enum class Text { kUtf8, kBytes };

  /// Error(kInvalidArgument) with PCRE2's words.
  explicit Regex(std::string_view pattern, Text text = Text::kUtf8);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Working memory of one thread's search.
  class Scratch {
   public:
    /// What a search may try at each place of the text, and remember to step back to. Words of any
    /// length need no limit, patterns from elsewhere do.
    explicit Scratch(uint32_t most_steps = UINT32_MAX, uint32_t most_kib = UINT32_MAX);
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
  /// The first non-empty match at or behind `offset`. `text` must be what the pattern was made for.
  /// Error(kOutOfMemory) where the search takes more memory or steps than it may.
  std::optional<Match> Find(std::string_view text, size_t offset, Scratch& scratch) const;

  /// Whether it matches anywhere, if only nothing at all. Error(kOutOfMemory) as above, the steps
  /// being bounded.
  bool MatchesIn(std::string_view text) const;

 private:
  std::optional<Match> Search(std::string_view text, size_t offset, uint32_t options,
                              Scratch& scratch) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace crossover
