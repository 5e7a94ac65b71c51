#include "engine/synth/synth_vocabulary.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {
namespace {

constexpr uint32_t kBytes = 256;
constexpr uint32_t kControls = 2;
constexpr int64_t kNormal = static_cast<int64_t>(tokenizer::TokenType::kNormal);
constexpr int64_t kControl = static_cast<int64_t>(tokenizer::TokenType::kControl);

}  // namespace

SynthVocabulary MakeSynthVocabulary(uint32_t size) {
  if (size < kBytes + kControls) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a vocabulary of {} tokens has no room for the {} bytes and {} control "
                            "tokens",
                            size, kBytes, kControls));
  }
  SynthVocabulary vocabulary;
  for (uint32_t byte = 0; byte < kBytes; ++byte) {
    vocabulary.tokens.push_back(tokenizer::ByteLevelText(static_cast<uint8_t>(byte)));
  }
  // Words grow letter by letter, shorter ones first, with and without a space in front: each has
  // one way to come about, so all differ and each merge makes the next token.
  std::vector<std::string> words{tokenizer::ByteLevelText(' ')};
  for (char letter = 'a'; letter <= 'z'; ++letter) words.emplace_back(1, letter);
  const uint32_t normal = size - kControls;
  for (size_t next = 0; vocabulary.tokens.size() < normal; ++next) {
    for (char letter = 'a'; letter <= 'z' && vocabulary.tokens.size() < normal; ++letter) {
      vocabulary.merges.push_back(words[next] + ' ' + letter);
      words.push_back(words[next] + letter);
      vocabulary.tokens.push_back(words.back());
    }
  }
  vocabulary.types.assign(normal, kNormal);
  vocabulary.types.resize(size, kControl);
  vocabulary.bos = normal;
  vocabulary.eos = normal + 1;
  vocabulary.tokens.emplace_back("<|startoftext|>");
  vocabulary.tokens.emplace_back("<|endoftext|>");
  return vocabulary;
}

}  // namespace crossover::engine
