// GPT-2's tokenizer and its descendants: words by regular expression, then byte pairs by rank.
// Radford et al. 2019.
#pragma once

#include <array>
#include <vector>

#include "tokenizer/merges.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_map.h"
#include "tokenizer/tokenizer.h"

namespace crossover::tokenizer {

class ByteLevelBpe final : public Tokenizer {
 public:
  /// `vocabulary` has gone through CheckVocabulary, which made `ids`. Error(kCorruptFile) for a
  /// malformed merge, and for tokens of several bytes where there are no merges.
  ByteLevelBpe(Vocabulary vocabulary, const TokenMap& ids, const PreTokenizerFamily& family);

 protected:
  void EncodePlain(std::string_view text, bool first, std::vector<TokenId>& out) const override;
  std::string DecodePlain(TokenId id) const override;

 private:
  void ReadBytes(const TokenMap& ids);
  void ReadMerges(const TokenMap& ids);
  void CheckReach(const std::vector<bool>& merged);
  void IndexWholeWords();
  uint32_t SymbolOf(char byte) const;

  PreTokenizer pre_tokenizer_;
  std::array<uint32_t, 256> byte_symbols_{};  // the token of each byte, or kNone
  MergeTable merges_;
  // Raw bytes → token, for families that look words up before merging; else empty.
  std::string word_bytes_;
  TokenMap words_;
};

}  // namespace crossover::tokenizer
