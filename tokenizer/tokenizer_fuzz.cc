// libFuzzer: any bytes must encode without a crash and decode to themselves. Built with clang and
// -Dfuzz=true; run as tokenizer/tokenizer_fuzz -max_total_time=60.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tokenizer/test_vocabulary.h"

namespace {

using crossover::tokenizer::EncodeOptions;
using crossover::tokenizer::Tokenizer;
using crossover::tokenizer::TokenType;

std::vector<std::unique_ptr<const Tokenizer>> MakeTokenizers() {
  namespace test = crossover::tokenizer::test;
  std::vector<std::unique_ptr<const Tokenizer>> tokenizers;
  for (const char* pre : {"gpt-2", "llama-bpe", "qwen2", "smollm", "gpt-4o", "deepseek-v3"}) {
    tokenizers.push_back(Tokenizer::Create(test::ByteLevelVocabulary(
        pre, {"a b", "Ġ a", "Ã ©", "ab ab", "1 2", "â ĸ", "Ġ Ġ", "ĠĠ ĠĠ"},
        {{"<|x|>", TokenType::kControl}, {"<u>", TokenType::kUserDefined}})));
  }
  tokenizers.push_back(Tokenizer::Create(test::SentencePieceVocabulary({{"▁", -1},
                                                                        {"a", -2},
                                                                        {"b", -2},
                                                                        {"▁a", -3},
                                                                        {"ab", -3},
                                                                        {"é", -4},
                                                                        {"▁▁", -5},
                                                                        {"a▁", -6}})));
  return tokenizers;
}

// Text that a tokenizer cannot give back: SentencePiece writes a space for ▁.
std::string Expected(std::string text, bool spaces) {
  if (!spaces) return text;
  std::string expected;
  for (size_t at = 0; at < text.size();) {
    const size_t mark = std::min(text.find("\u2581", at), text.size());
    expected.append(text, at, mark - at);
    if (mark < text.size()) expected += ' ';
    at = mark + 3;
  }
  return expected;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizers = MakeTokenizers();
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto& tokenizer : tokenizers) {
    const bool sentence_piece = tokenizer->vocabulary().model == "llama";
    for (bool parse_special : {false, true}) {
      // A space is put behind its name, and none behind text that it stands for: as models were
      // trained. Which it was is not in the ids.
      if (sentence_piece && parse_special && text.find("<unk>") != std::string::npos) continue;
      const auto ids =
          tokenizer->Encode(text, {.add_special = false, .parse_special = parse_special});
      if (tokenizer->Decode(ids, /*special=*/true) != Expected(text, sentence_piece)) std::abort();
    }
  }
  return 0;
}
