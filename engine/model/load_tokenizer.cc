#include "engine/model/load_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"
#include "engine/model/model_limits.h"

namespace crossover::engine {
namespace {

using tokenizer::TokenId;
using tokenizer::TokenType;
using tokenizer::Vocabulary;

constexpr std::string_view kPrefix = "tokenizer.ggml.";

std::string Key(std::string_view name) { return fmt::format("{}{}", kPrefix, name); }

[[noreturn]] void Fail(const GgufFile& file, const std::string& key, std::string_view what) {
  throw Error(ErrorCode::kCorruptFile, fmt::format("{}: {}: {}", file.path(), key, what));
}

/// A vocabulary's list, empty if absent: looked at before it is copied, which takes several times
/// its bytes.
std::vector<std::string> Texts(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.FindValue(key);
  if (value == nullptr) return {};
  if (const uint64_t count = ArrayCount(*value); count > kMaxVocabulary) {
    Fail(file, key, fmt::format("has {} entries; the most is {}", count, kMaxVocabulary));
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

// What LoadTokenizer reads, and what changes no token of any text: names of models' makers, tokens
// that only tools look for, other programs' copies of the vocabulary.
constexpr auto kKnownKeys = std::to_array<std::string_view>({
    // Read.
    "model",
    "pre",
    "tokens",
    "token_type",
    "scores",
    "merges",
    "bos_token_id",
    "eos_token_id",
    "unknown_token_id",
    "padding_token_id",
    "eot_token_id",
    "eom_token_id",
    "add_bos_token",
    "add_eos_token",
    "add_space_prefix",
    // Without effect on what text becomes.
    "token_type_count",
    "seperator_token_id",
    "separator_token_id",
    "cls_token_id",
    "mask_token_id",
    "prefix_token_id",
    "suffix_token_id",
    "middle_token_id",
    "fim_pre_token_id",
    "fim_suf_token_id",
    "fim_mid_token_id",
    "fim_pad_token_id",
    "fim_rep_token_id",
    "fim_sep_token_id",
    "escape_whitespaces",
});
// Told of below where they ask for something.
constexpr auto kToldKeys = std::to_array<std::string_view>(
    {"remove_extra_whitespaces", "add_sep_token", "precompiled_charsmap", "normalizer.lowercase"});

bool Holds(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// Keys that a run goes on without, though they may change what text becomes.
void AddKeyWarnings(const GgufFile& file, std::vector<std::string>& warnings) {
  const auto is_true = [&](std::string_view name) { return file.FindBool(Key(name)) == true; };
  const bool sentencepiece = file.String(Key("model")) == "llama";
  if (is_true("add_space_prefix") && !sentencepiece) {
    warnings.push_back(Key("add_space_prefix") +
                       " is not honoured: byte-level BPE puts no space before a text");
  }
  if (is_true("remove_extra_whitespaces")) {
    warnings.push_back(Key("remove_extra_whitespaces") +
                       " is not honoured: spaces at the ends and runs of them stay as they are");
  }
  if (is_true("add_sep_token")) {
    warnings.push_back(Key("add_sep_token") + " is not honoured: no separator is added");
  }
  const std::string charsmap = Key("precompiled_charsmap");
  if (const GgufValue* value = file.FindValue(charsmap)) {
    if (value->type != GgufType::kArray || ArrayCount(*value) > 0) {
      warnings.push_back(charsmap +
                         " is not honoured: characters are not normalised (text in ASCII is the "
                         "same without)");
    }
  }
  if (is_true("normalizer.lowercase")) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: {}: text that is made lower-case first is not supported",
                            file.path(), Key("normalizer.lowercase")));
  }
  std::vector<std::string> unknown;
  for (const auto& entry : file.metadata()) {
    std::string_view key = entry.first;
    if (!key.starts_with(kPrefix)) continue;
    key.remove_prefix(kPrefix.size());
    if (!Holds(kKnownKeys, key) && !Holds(kToldKeys, key)) unknown.push_back(Quoted(entry.first));
  }
  if (!unknown.empty()) {
    warnings.push_back(
        fmt::format("{} of the tokenizer is not known here and not honoured", NameSome(unknown)));
  }
}

/// Tokens that end a turn beside EOS and EOT.
std::vector<TokenId> AlsoEnd(const GgufFile& file) {
  std::vector<TokenId> ids;
  if (const auto id = FindId(file, "eom_token_id")) ids.push_back(*id);
  return ids;
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
  vocabulary.also_end = AlsoEnd(file);
  vocabulary.add_bos = file.FindBool(Key("add_bos_token"));
  vocabulary.add_eos = file.FindBool(Key("add_eos_token"));
  vocabulary.add_space_prefix = file.FindBool(Key("add_space_prefix"));
  vocabulary.chat_template = file.FindString("tokenizer.chat_template").value_or("");
  AddKeyWarnings(file, vocabulary.warnings);
  if (vocabulary.model == "gpt2") vocabulary.add_space_prefix = false;
  vocabulary.strip_after_special = IsPhi3(file.FindString("general.name").value_or(""));
  try {
    return tokenizer::Tokenizer::Create(std::move(vocabulary));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", file.path(), error.what()));
  }
}

}  // namespace crossover::engine
