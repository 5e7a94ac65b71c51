// How byte-level BPE cuts a text into words before it merges bytes: one row of regular expressions
// for each family of tokenizers.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/regex.h"

namespace crossover::tokenizer {

/// A row of the table; a new family is a new row.
struct PreTokenizerFamily {
  std::vector<std::string_view> names;     // values of tokenizer.ggml.pre
  std::vector<std::string_view> patterns;  // each cuts the pieces of the one before
  bool whole_words = false;                // a word that is a token is not merged ("ignore_merges")
  bool adds_bos = false;                   // where the file does not say
};

/// nullptr for a name of no family.
const PreTokenizerFamily* KnownPreTokenizerFamily(std::string_view name);
/// Error(kUnsupported) with the known names.
const PreTokenizerFamily& FindPreTokenizerFamily(std::string_view name);
std::span<const PreTokenizerFamily> PreTokenizerFamilies();

class PreTokenizer {
 public:
  explicit PreTokenizer(const PreTokenizerFamily& family);

  using WordFunction = std::function<void(std::string_view)>;
  /// Calls `word` for each piece, in order; together they are the text. A pattern's matches are
  /// pieces, and so is what lies between two. `text` must be well-formed UTF-8.
  void Split(std::string_view text, const WordFunction& word) const;

 private:
  void SplitFrom(size_t stage, std::string_view text, Regex::Scratch& scratch,
                 const WordFunction& word) const;

  std::vector<Regex> patterns_;
};

}  // namespace crossover::tokenizer
