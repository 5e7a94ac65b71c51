#include "engine/load_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/error.h"

namespace crossover::engine {
namespace {

using tokenizer::TokenId;
using tokenizer::TokenType;
using tokenizer::Vocabulary;

std::string Key(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

[[noreturn]] void Fail(const GgufFile& file, const std::string& key, std::string_view what) {
  throw Error(ErrorCode::kCorruptFile, fmt::format("{}: {}: {}", file.path(), key, what));
}

/// The array under `key`, or nullptr if the key is absent.
// The largest vocabularies of 2026 have some 262,000 tokens and 515,000 merges.
constexpr uint64_t kMostEntries = uint64_t{1} << 22;

/// A vocabulary's list: looked at before it is copied, which takes several times its bytes.
std::vector<std::string> Texts(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.FindValue(key);
  if (value == nullptr) return {};
  if (const uint64_t count = ArrayCount(*value); count > kMostEntries) {
    Fail(file, key, fmt::format("has {} entries; the most is {}", count, kMostEntries));
  }
  auto texts = ReadStrings(*value);
  if (!texts) Fail(file, key, "is not an array of strings");
  return std::move(*texts);
}

/// What there is one of for each token.
const GgufValue* FindPerToken(const GgufFile& file, const std::string& key, std::string_view what,
                              size_t tokens) {
  const GgufValue* value = file.FindValue(key);
  if (value != nullptr && value->type == GgufType::kArray && ArrayCount(*value) != tokens &&
      ArrayCount(*value) != 0) {
    Fail(file, key, fmt::format("{} {} for {} tokens", ArrayCount(*value), what, tokens));
  }
  return value;
}

/// -1, also written as an unsigned number, is how converters say "none".
std::optional<TokenId> FindId(const GgufFile& file, std::string_view name) {
  const std::string key = Key(name);
  const GgufValue* value = file.FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<int64_t>(&value->value); number && *number == -1) {
    return std::nullopt;
  }
  const std::optional<uint64_t> id = file.FindUint(key);
  if (!id || *id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  if (*id > static_cast<uint64_t>(std::numeric_limits<TokenId>::max())) {
    Fail(file, key, fmt::format("{} is no token id", *id));
  }
  return static_cast<TokenId>(*id);
}

std::vector<TokenType> ReadTypes(const GgufFile& file, size_t tokens) {
  const std::string key = Key("token_type");
  const GgufValue* value = FindPerToken(file, key, "types", tokens);
  if (value == nullptr) return {};
  const auto numbers = ReadIntegers(*value);
  if (!numbers) Fail(file, key, "is not an array of integers");
  std::vector<TokenType> types;
  types.reserve(numbers->size());
  for (const int64_t number : *numbers) {
    if (number < 0 || number > static_cast<int64_t>(TokenType::kByte)) {
      Fail(file, key, fmt::format("unknown token type {}", number));
    }
    types.push_back(static_cast<TokenType>(number));
  }
  return types;
}

std::vector<float> ReadScores(const GgufFile& file, size_t tokens) {
  const std::string key = Key("scores");
  const GgufValue* value = FindPerToken(file, key, "scores", tokens);
  if (value == nullptr) return {};
  const auto numbers = ReadNumbers(*value);
  if (!numbers) Fail(file, key, "is not an array of numbers");
  return {numbers->begin(), numbers->end()};
}

// Phi-3's tokenizer swallows white space behind its special tokens; GGUF carries no such attribute,
// so the model's name has to do.
bool IsPhi3(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower.find("phi-3") != std::string::npos || lower.find("phi3") != std::string::npos;
}

}  // namespace

std::unique_ptr<const tokenizer::Tokenizer> LoadTokenizer(const GgufFile& file) {
  Vocabulary vocabulary;
  vocabulary.model = file.String(Key("model"));
  vocabulary.pre = file.FindString(Key("pre")).value_or("");
  if (file.FindValue(Key("tokens")) == nullptr) {
    Fail(file, Key("tokens"), "missing; the file carries no vocabulary");
  }
  vocabulary.tokens = Texts(file, Key("tokens"));
  vocabulary.merges = Texts(file, Key("merges"));
  vocabulary.scores = ReadScores(file, vocabulary.tokens.size());
  vocabulary.types = ReadTypes(file, vocabulary.tokens.size());
  vocabulary.bos = FindId(file, "bos_token_id");
  vocabulary.eos = FindId(file, "eos_token_id");
  vocabulary.unknown = FindId(file, "unknown_token_id");
  vocabulary.padding = FindId(file, "padding_token_id");
  vocabulary.eot = FindId(file, "eot_token_id");
  vocabulary.add_bos = file.FindBool(Key("add_bos_token"));
  vocabulary.add_eos = file.FindBool(Key("add_eos_token"));
  vocabulary.add_space_prefix = file.FindBool(Key("add_space_prefix"));
  vocabulary.chat_template = file.FindString("tokenizer.chat_template").value_or("");
  vocabulary.strip_after_special = IsPhi3(file.FindString("general.name").value_or(""));
  try {
    return tokenizer::Tokenizer::Create(std::move(vocabulary));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", file.path(), error.what()));
  }
}

}  // namespace crossover::engine
