#include "engine/files/hf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/hf_chat_template.h"
#include "engine/files/hf_special_tokens.h"
#include "engine/files/hf_text_steps.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {
namespace {

using nlohmann::json;
using tokenizer::TokenType;

constexpr std::string_view kSpaceMark = "\u2581";       // SentencePiece's space
constexpr std::string_view kByteLevelSpace = "\u0120";  // GPT-2's

std::string Replaced(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
    out.append(text.substr(0, at)).append(with);
    text.remove_prefix(at + what.size());
  }
  return out.append(text);
}

// ---- Tokens ------------------------------------------------------------------------------------

/// Some models mark tokens as ordinary that are meant to steer: those written like <|this|>.
bool LooksSpecial(std::string_view text) {
  return text == "<pad>" || text == "<mask>" || (text.starts_with("<|") && text.ends_with("|>")) ||
         (text.starts_with("<｜") && text.ends_with("｜>"));
}

struct Tokens {
  std::vector<std::string> texts;
  std::vector<TokenType> types;
  std::map<std::string, uint64_t, std::less<>> added;  // ids of added tokens by their content

  explicit Tokens(uint64_t vocab) : texts(vocab), types(vocab, TokenType::kUnused) {
    for (uint64_t id = 0; id < vocab; ++id) texts[id] = fmt::format("[PAD{}]", id);
  }
};

uint64_t CheckedId(const JsonObject& where, std::string_view text, const json& id, size_t vocab) {
  if (!id.is_number_unsigned() || id.get<uint64_t>() >= vocab) {
    where.Fail(text, fmt::format("has an id that is none of the {} of vocab_size", vocab));
  }
  return id.get<uint64_t>();
}

void AddVocabulary(const JsonObject& model, Tokens& tokens) {
  const JsonObject vocab = model.Object("vocab");
  for (const auto& [text, value] : vocab.value().items()) {
    const uint64_t id = CheckedId(vocab, text, value, tokens.texts.size());
    if (tokens.types[id] != TokenType::kUnused) {
      vocab.Fail(text,
                 fmt::format("has the id {}, which {} has too", id, Quoted(tokens.texts[id])));
    }
    tokens.texts[id] = text;
    tokens.types[id] = TokenType::kNormal;
  }
}

void AddToken(const JsonObject& token, const json& id_value, Tokens& tokens) {
  const std::string text = token.FindString("content").value_or("");
  if (text.empty()) token.Fail("content", "is missing or empty");
  const uint64_t id = CheckedId(token, text, id_value, tokens.texts.size());
  const bool special = token.FindBool("special").value_or(false) || LooksSpecial(text);
  tokens.added.emplace(text, id);
  tokens.types[id] = special ? TokenType::kControl : TokenType::kUserDefined;
  // Ordinary text of an added token is matched as it stands, so its spaces are real ones.
  tokens.texts[id] = special ? text : Replaced(text, kSpaceMark, " ");
}

void AddAddedTokens(const HfTokenizerFiles& files, Tokens& tokens) {
  if (files.tokenizer.Find("added_tokens") != nullptr) {
    for (const json& entry : files.tokenizer.Array("added_tokens")) {
      const JsonObject token(entry, files.tokenizer.name() + ": added_tokens");
      AddToken(token, entry.value("id", json()), tokens);
    }
  }
  if (!files.config) return;
  // Some tokenizers are completed by their configuration.
  const auto decoder = files.config->FindObject("added_tokens_decoder");
  if (!decoder) return;
  for (const auto& [key, entry] : decoder->value().items()) {
    const JsonObject token(entry, fmt::format("{}: {}", decoder->name(), Quoted(key)));
    if (tokens.added.count(token.FindString("content").value_or("")) != 0) continue;
    uint64_t number = 0;
    const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), number);
    const bool is_number = failed == std::errc() && end == key.data() + key.size();
    const json id = is_number ? json(number) : json();
    AddToken(token, id, tokens);
  }
}

/// Pairs, or texts "left right" as older files have them.
std::vector<std::pair<std::string, std::string>> Merges(const JsonObject& model) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const json& merge : model.Array("merges")) {
    if (merge.is_string()) {
      const auto text = merge.get<std::string>();
      const size_t space = text.find(' ');
      if (space != std::string::npos) {
        merges.emplace_back(text.substr(0, space), text.substr(space + 1));
        continue;
      }
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    model.Fail("merges", fmt::format("holds something else than pairs in entry {}", merges.size()));
  }
  return merges;
}

GgufValue Texts(std::vector<std::string> texts) {
  return {GgufType::kArray, GgufType::kString, std::move(texts)};
}

GgufValue Types(const std::vector<TokenType>& types) {
  std::vector<int64_t> numbers;
  for (const TokenType type : types) numbers.push_back(static_cast<int64_t>(type));
  return {GgufType::kArray, GgufType::kI32, std::move(numbers)};
}

// ---- Byte-level BPE ----------------------------------------------------------------------------

std::string PreTokenizerName(const JsonObject& tokenizer, const JsonObject& model,
                             std::vector<std::string>& warnings) {
  const std::vector<std::string> patterns = HfTextSteps(tokenizer, warnings).ReadByteLevel();
  const bool whole_words = model.FindBool("ignore_merges").value_or(false);
  const tokenizer::PreTokenizerFamily* found = nullptr;
  for (const auto& family : tokenizer::PreTokenizerFamilies()) {
    if (!std::equal(patterns.begin(), patterns.end(), family.patterns.begin(),
                    family.patterns.end())) {
      continue;
    }
    if (found == nullptr || family.whole_words == whole_words) found = &family;
    if (found->whole_words == whole_words) break;
  }
  if (found == nullptr) {
    tokenizer.Unsupported(
        "cuts text into words by patterns of no known family; convert the model "
        "with its makers' own tool");
  }
  if (found->whole_words != whole_words) {
    warnings.push_back(fmt::format(
        "{}: model: 'ignore_merges' is {}, but GGUF's name for this way to cut text says {}, which "
        "counts",
        tokenizer.name(), whole_words, found->whole_words));
  }
  return std::string(found->names.front());
}

void AddByteLevel(const HfTokenizerFiles& files, const JsonObject& model, Tokens tokens,
                  GgufMetadata& out, std::vector<std::string>& warnings) {
  if (files.config && files.config->FindBool("add_prefix_space").value_or(false)) {
    files.config->Unsupported("'add_prefix_space' is true, which GGUF has no key for here");
  }
  out.emplace_back("tokenizer.ggml.model", GgufText("gpt2"));
  out.emplace_back("tokenizer.ggml.pre",
                   GgufText(PreTokenizerName(files.tokenizer, model, warnings)));
  out.emplace_back("tokenizer.ggml.tokens", Texts(std::move(tokens.texts)));
  out.emplace_back("tokenizer.ggml.token_type", Types(tokens.types));
  std::vector<std::string> merges;
  for (const auto& [left, right] : Merges(model)) {
    merges.push_back(fmt::format("{} {}", Replaced(left, " ", kByteLevelSpace),
                                 Replaced(right, " ", kByteLevelSpace)));
  }
  out.emplace_back("tokenizer.ggml.merges", Texts(std::move(merges)));
}

// ---- SentencePiece BPE -------------------------------------------------------------------------

bool IsByteToken(std::string_view text) {
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with(">") &&
         text.substr(3, 2).find_first_not_of("0123456789ABCDEFabcdef") == std::string_view::npos;
}

/// SentencePiece merges the pair whose piece scores best. The list of merges stands in that order,
/// so a piece's rank, negated, is as good as its score; pieces that no merge makes come behind, and
/// what is matched as a whole has none.
std::vector<double> Scores(const JsonObject& model, const Tokens& tokens) {
  std::map<std::string_view, uint64_t> ids;
  for (uint64_t id = 0; id < tokens.texts.size(); ++id) {
    if (tokens.types[id] == TokenType::kNormal) ids.emplace(tokens.texts[id], id);
  }
  std::vector<double> scores(tokens.texts.size(), 0);
  double rank = 0;
  for (const auto& [left, right] : Merges(model)) {
    const auto piece = ids.find(left + right);
    if (piece == ids.end() || scores[piece->second] != 0) continue;
    scores[piece->second] = --rank;
  }
  for (uint64_t id = 0; id < scores.size(); ++id) {
    if (tokens.types[id] == TokenType::kNormal && scores[id] == 0) scores[id] = --rank;
    if (tokens.types[id] == TokenType::kUnused) scores[id] = -10000;
  }
  return scores;
}

/// Whether a token has a space elsewhere than at its beginning.
bool HasInnerSpaces(const Tokens& tokens) {
  for (uint64_t id = 0; id < tokens.texts.size(); ++id) {
    if (tokens.types[id] != TokenType::kNormal) continue;
    const size_t last = tokens.texts[id].rfind(kSpaceMark);
    if (last != std::string::npos && last > 0) return true;
  }
  return false;
}

void AddSentencePiece(const HfTokenizerFiles& files, const JsonObject& model, Tokens tokens,
                      GgufMetadata& out, std::vector<std::string>& warnings) {
  bool prefix = HfTextSteps(files.tokenizer, warnings).ReadSentencePiece(HasInnerSpaces(tokens));
  // transformers builds the steps again where its configuration speaks of the space.
  if (files.config) prefix = files.config->FindBool("add_prefix_space").value_or(prefix);
  const std::string unknown = model.FindString("unk_token").value_or("");
  for (uint64_t id = 0; id < tokens.texts.size(); ++id) {
    TokenType& type = tokens.types[id];
    if (type == TokenType::kUnused) continue;
    if (IsByteToken(tokens.texts[id])) type = TokenType::kByte;
    if (tokens.texts[id] == unknown) type = TokenType::kUnknown;
  }
  out.emplace_back("tokenizer.ggml.model", GgufText("llama"));
  out.emplace_back("tokenizer.ggml.pre", GgufText("default"));
  GgufValue scores{GgufType::kArray, GgufType::kF32, Scores(model, tokens)};
  out.emplace_back("tokenizer.ggml.tokens", Texts(std::move(tokens.texts)));
  out.emplace_back("tokenizer.ggml.scores", std::move(scores));
  out.emplace_back("tokenizer.ggml.token_type", Types(tokens.types));
  out.emplace_back("tokenizer.ggml.add_space_prefix", GgufBool(prefix));
}

// ---- Added tokens that ask for more than their text ---------------------------------------------

void CheckAddedTokens(const HfTokenizerFiles& files, std::vector<std::string>& warnings) {
  if (files.tokenizer.Find("added_tokens") == nullptr) return;
  std::vector<std::string> strip, words;
  for (const json& entry : files.tokenizer.Array("added_tokens")) {
    const JsonObject token(entry, files.tokenizer.name() + ": added_tokens");
    const std::string text = Quoted(token.FindString("content").value_or(""));
    const auto is = [&](std::string_view key) { return token.FindBool(key).value_or(false); };
    if (is("lstrip") || is("rstrip")) strip.push_back(text);
    if (is("single_word")) words.push_back(text);
  }
  if (!strip.empty()) {
    warnings.push_back(
        fmt::format("{}: white space beside {} belongs to it (lstrip, rstrip), which "
                    "GGUF has no key for: it is kept",
                    files.tokenizer.name(), NameSome(strip)));
  }
  if (!words.empty()) {
    warnings.push_back(
        fmt::format("{}: {} counts as a word by itself only (single_word), which "
                    "GGUF has no key for: it is found inside words too",
                    files.tokenizer.name(), NameSome(words)));
  }
}

}  // namespace

GgufMetadata HfTokenizerMetadata(const HfTokenizerFiles& files, uint64_t vocab,
                                 std::vector<std::string>& warnings) {
  const JsonObject model = files.tokenizer.Object("model");
  if (model.FindString("type").value_or("BPE") != "BPE") {
    files.tokenizer.Unsupported(
        fmt::format("is of the kind {}; known: BPE", Quoted(*model.FindString("type"))));
  }
  if (files.config && files.config->FindBool("do_lower_case").value_or(false)) {
    files.config->Unsupported("'do_lower_case' is true, which GGUF has no key for");
  }
  const bool byte_level = !model.FindBool("byte_fallback").value_or(false);
  const HfTextSteps steps(files.tokenizer, warnings);
  steps.CheckModel(model, byte_level);
  steps.CheckRest();
  Tokens tokens(vocab);
  AddVocabulary(model, tokens);
  AddAddedTokens(files, tokens);
  CheckAddedTokens(files, warnings);
  GgufMetadata out;
  const GgufMetadata special = HfSpecialTokens(files, tokens.added, vocab, warnings);
  if (byte_level) {
    AddByteLevel(files, model, std::move(tokens), out, warnings);
  } else {
    AddSentencePiece(files, model, std::move(tokens), out, warnings);
  }
  out.insert(out.end(), special.begin(), special.end());
  AddChatTemplates(files, out, warnings);
  return out;
}

}  // namespace crossover::engine
