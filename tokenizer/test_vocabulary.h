// Small vocabularies whose encodings can be worked out by hand.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "tokenizer/byte_level.h"
#include "tokenizer/tokenizer.h"

namespace crossover::tokenizer::test {

/// Ids 0–255: the bytes; then what each merge makes, in order; then the special tokens.
inline Vocabulary ByteLevelVocabulary(std::string pre, std::vector<std::string> merges,
                                      std::vector<std::pair<std::string, TokenType>> special = {}) {
  Vocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = std::move(pre);
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.tokens.push_back(ByteLevelText(static_cast<uint8_t>(byte)));
  }
  for (const std::string& merge : merges) {
    std::string token = merge;
    token.erase(token.find(' '), 1);
    vocabulary.tokens.push_back(token);
  }
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::kNormal);
  for (const auto& [text, type] : special) {
    vocabulary.tokens.push_back(text);
    vocabulary.types.push_back(type);
  }
  vocabulary.merges = std::move(merges);
  vocabulary.add_bos = false;
  return vocabulary;
}

/// Ids 0–2: <unk> <s> </s>; 3–258: the bytes; then `pieces` with their scores.
inline Vocabulary SentencePieceVocabulary(std::vector<std::pair<std::string, float>> pieces) {
  Vocabulary vocabulary;
  vocabulary.model = "llama";
  const auto add = [&](std::string text, float score, TokenType type) {
    vocabulary.tokens.push_back(std::move(text));
    vocabulary.scores.push_back(score);
    vocabulary.types.push_back(type);
  };
  add("<unk>", 0, TokenType::kUnknown);
  add("<s>", 0, TokenType::kControl);
  add("</s>", 0, TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), 0, TokenType::kByte);
  for (auto& [text, score] : pieces) add(std::move(text), score, TokenType::kNormal);
  return vocabulary;
}

inline constexpr TokenId kFirstPiece = 259;

}  // namespace crossover::tokenizer::test
