#include "tokenizer/check_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "tokenizer/token_map.h"

namespace crossover::tokenizer {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";

[[noreturn]] void Fail(std::string_view key, const std::string& what) {
  throw Error(ErrorCode::kCorruptFile, fmt::format("{}{}: {}", kPrefix, key, what));
}

// GGUF has one EOS and one EOT key, but chat models end their turns with more tokens than that, and
// some files mark these as normal or user-defined. Their names are all there is to go by.
struct KnownToken {
  std::string_view name;
  bool ends_generation;
};
constexpr auto kKnownControls = std::to_array<KnownToken>({
    {"<|eot_id|>", true},
    {"<|eom_id|>", true},
    {"<|im_end|>", true},
    {"<|end|>", true},
    {"<|return|>", true},
    {"<|call|>", true},
    {"<end_of_turn>", true},
    {"<|endoftext|>", true},
    {"<|end_of_text|>", true},
    {"</s>", true},
    {"<EOT>", true},
    {"[EOT]", true},
    {"[EOS]", true},
    {"<eos>", true},
    {"<turn|>", true},
    {"<end_of_utterance>", true},
    {"<｜end▁of▁sentence｜>", true},
    {"<|fim_pad|>", true},
    {"<fim_pad>", true},
    {"<|fim_repo|>", true},
    {"<|repo_name|>", true},
    {"<reponame>", true},
    {"<|file_sep|>", true},
    {"<|fim_prefix|>", false},
    {"<fim_prefix>", false},
    {"<|fim_suffix|>", false},
    {"<fim_suffix>", false},
    {"<|fim_middle|>", false},
    {"<fim_middle>", false},
});

void CheckIds(const Vocabulary& vocabulary) {
  const auto check = [&](std::string_view key, std::optional<TokenId> id) {
    if (id && (*id < 0 || static_cast<size_t>(*id) >= vocabulary.tokens.size())) {
      Fail(key, fmt::format("id {} is outside the {} tokens", *id, vocabulary.tokens.size()));
    }
  };
  check("bos_token_id", vocabulary.bos);
  check("eos_token_id", vocabulary.eos);
  check("unknown_token_id", vocabulary.unknown);
  check("padding_token_id", vocabulary.padding);
  check("eot_token_id", vocabulary.eot);
  for (const TokenId id : vocabulary.also_end) check("eom_token_id", id);
}

void CheckTypes(Vocabulary& vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (vocabulary.types.empty()) vocabulary.types.assign(count, TokenType::kNormal);
  if (vocabulary.types.size() != count) {
    Fail("token_type", fmt::format("{} types for {} tokens", vocabulary.types.size(), count));
  }
  for (size_t id = 0; id < count; ++id) {
    const auto type = static_cast<int32_t>(vocabulary.types[id]);
    if (type < 0 || type > static_cast<int32_t>(TokenType::kByte)) {
      Fail("token_type", fmt::format("token {} has the unknown type {}", id, type));
    }
  }
}

void CheckScores(const Vocabulary& vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (vocabulary.scores.empty()) return;
  if (vocabulary.scores.size() != count) {
    Fail("scores", fmt::format("{} scores for {} tokens", vocabulary.scores.size(), count));
  }
  for (size_t id = 0; id < count; ++id) {
    if (std::isnan(vocabulary.scores[id])) Fail("scores", fmt::format("token {} has NaN", id));
  }
}

TokenMap CheckTexts(const Vocabulary& vocabulary) {
  TokenMap ids(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& text = vocabulary.tokens[id];
    if (text.size() > kMaxTokenBytes) {
      Fail("tokens", fmt::format("token {} is {} bytes long; the most is {}", id, text.size(),
                                 kMaxTokenBytes));
    }
    if (!text.empty() && !ids.Insert(text, static_cast<uint32_t>(id))) {
      Fail("tokens", fmt::format("token {} repeats token {}", id, ids.Find(text)));
    }
  }
  return ids;
}

}  // namespace

TokenMap CheckVocabulary(Vocabulary& vocabulary) {
  if (vocabulary.tokens.empty()) Fail("tokens", "the vocabulary is empty");
  if (vocabulary.tokens.size() > INT32_MAX) Fail("tokens", "more tokens than 32-bit ids");
  CheckTypes(vocabulary);
  CheckScores(vocabulary);
  CheckIds(vocabulary);
  TokenMap ids = CheckTexts(vocabulary);
  for (const KnownToken& known : kKnownControls) {
    const uint32_t id = ids.Find(known.name);
    if (id != TokenMap::kNone) vocabulary.types[id] = TokenType::kControl;
  }
  return ids;
}

std::vector<bool> EndOfGenerationTokens(const Vocabulary& vocabulary, const TokenMap& ids) {
  std::vector<bool> ends(vocabulary.tokens.size());
  const auto has = [&](std::string_view name) { return ids.Find(name) != TokenMap::kNone; };
  // In the Harmony format <|end|> closes a message, and the turn goes on.
  const bool harmony = has("<|return|>") && has("<|call|>");
  for (const KnownToken& known : kKnownControls) {
    if (!known.ends_generation || (harmony && known.name == "<|end|>")) continue;
    if (has(known.name)) ends[ids.Find(known.name)] = true;
  }
  if (vocabulary.eos) ends[*vocabulary.eos] = true;
  if (vocabulary.eot) ends[*vocabulary.eot] = true;
  for (const TokenId id : vocabulary.also_end) ends[id] = true;
  return ends;
}

}  // namespace crossover::tokenizer
