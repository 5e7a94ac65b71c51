// SentencePiece's BPE (Kudo and Richardson 2018, arXiv:1808.06226) as Llama 1 and 2, Mistral and
// Phi-3 use it: spaces are written ▁, the pair whose token scores best merges first, characters
// without a token fall back to byte tokens <0xNN>.
#pragma once

#include <array>
#include <bitset>
#include <deque>
#include <string>
#include <vector>

#include "tokenizer/merges.h"
#include "tokenizer/token_map.h"
#include "tokenizer/tokenizer.h"

namespace crossover::tokenizer {

class SentencePieceBpe final : public Tokenizer {
 public:
  /// `vocabulary` has gone through CheckVocabulary, which made `ids`. Error(kCorruptFile) without
  /// scores.
  SentencePieceBpe(Vocabulary vocabulary, const TokenMap& ids);

 protected:
  void EncodePlain(std::string_view text, bool first, std::vector<TokenId>& out) const override;
  std::string DecodePlain(TokenId id) const override;

 private:
  /// A character of the text: its symbol, and the bytes it shows to its neighbours.
  struct Character {
    uint32_t symbol = TokenMap::kNone;
    uint8_t first = 0, last = 0;
  };

  void IndexCharacters();
  void IndexMerges();
  void CheckScoresDiffer();
  std::vector<uint32_t> RanksByScore() const;
  Character CharacterAt(std::string_view bytes) const;
  /// Whether some token holds the two side by side. Where none does, no merge ever joins them, and
  /// the text can be cut there.
  bool CanJoin(const Character& left, const Character& right) const {
    return adjacent_[left.last * 256 + right.first];
  }
  void AppendBytes(std::string_view bytes, std::vector<TokenId>& out) const;

  // Symbols are token ids and, from size() on, characters that occur in tokens without being one.
  TokenMap texts_;
  std::deque<std::string> loose_characters_;
  std::array<Character, 128> ascii_;
  std::array<TokenId, 256> byte_tokens_{};  // <0xNN>, or -1
  std::bitset<256 * 256> adjacent_;
  MergeTable merges_;
};

}  // namespace crossover::tokenizer
