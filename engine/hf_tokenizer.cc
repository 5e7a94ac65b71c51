#include "engine/hf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/gguf_cursor.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {
namespace {

using nlohmann::json;
using tokenizer::TokenType;

constexpr std::string_view kSpaceMark = "\u2581";       // SentencePiece's space
constexpr std::string_view kByteLevelSpace = "\u0120";  // GPT-2's

[[noreturn]] void Unsupported(const JsonObject& tokenizer, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", tokenizer.name(), what));
}

std::string Replaced(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
    out.append(text.substr(0, at)).append(with);
    text.remove_prefix(at + what.size());
  }
  return out.append(text);
}

/// {"type": …} or a Sequence of such under `list`, flattened; empty if absent.
std::vector<JsonObject> Steps(const JsonObject& parent, std::string_view key,
                              std::string_view list) {
  std::vector<JsonObject> steps;
  const auto step = parent.FindObject(key);
  if (!step) return steps;
  if (step->FindString("type") != "Sequence") return {*step};
  for (const json& inner : step->Array(list)) {
    steps.emplace_back(inner, fmt::format("{}: {}", step->name(), list));
  }
  return steps;
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

/// The patterns that a text is cut by, one after the other, as PreTokenizerFamily has them.
std::vector<std::string> Patterns(const JsonObject& tokenizer) {
  const std::string_view gpt2 = tokenizer::FindPreTokenizerFamily("gpt-2").patterns.front();
  std::vector<std::string> patterns;
  for (const JsonObject& step : Steps(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const std::string type = step.FindString("type").value_or("");
    if (type == "Split") {
      const auto pattern = step.Object("pattern").FindString("Regex");
      if (!pattern || step.FindString("behavior") != "Isolated" ||
          step.FindBool("invert").value_or(false)) {
        Unsupported(tokenizer, "cuts text in a way that GGUF has no name for (Split)");
      }
      patterns.push_back(*pattern);
    } else if (type == "Digits") {
      patterns.emplace_back(step.FindBool("individual_digits").value_or(false) ? R"(\p{N})"
                                                                               : R"(\p{N}+)");
    } else if (type == "ByteLevel") {
      if (step.FindBool("add_prefix_space").value_or(true)) {
        Unsupported(tokenizer, "puts a space before a text (ByteLevel), which GGUF has no key for");
      }
      if (step.FindBool("use_regex").value_or(true)) patterns.emplace_back(gpt2);
    } else {
      Unsupported(tokenizer,
                  fmt::format("cuts text by {}, which cannot be converted", Quoted(type)));
    }
  }
  return patterns;
}

std::string PreTokenizerName(const JsonObject& tokenizer, const JsonObject& model) {
  const std::vector<std::string> patterns = Patterns(tokenizer);
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
    Unsupported(tokenizer,
                "cuts text into words by patterns of no known family; convert the model "
                "with its makers' own tool");
  }
  return std::string(found->names.front());
}

void AddByteLevel(const HfTokenizerFiles& files, const JsonObject& model, Tokens tokens,
                  GgufMetadata& out) {
  out.emplace_back("tokenizer.ggml.model", GgufText("gpt2"));
  out.emplace_back("tokenizer.ggml.pre", GgufText(PreTokenizerName(files.tokenizer, model)));
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

/// Whether a text's first word gets the space that others have: by the normalizer of older files,
/// by the pre-tokenizer of newer ones.
bool AddsSpacePrefix(const JsonObject& tokenizer) {
  for (const JsonObject& step : Steps(tokenizer, "normalizer", "normalizers")) {
    if (step.FindString("type") == "Prepend") return true;
  }
  for (const JsonObject& step : Steps(tokenizer, "pre_tokenizer", "pretokenizers")) {
    if (step.FindString("type") == "Metaspace") {
      return step.FindString("prepend_scheme").value_or("always") != "never";
    }
  }
  return false;
}

void AddSentencePiece(const HfTokenizerFiles& files, const JsonObject& model, Tokens tokens,
                      GgufMetadata& out) {
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
  out.emplace_back("tokenizer.ggml.add_space_prefix", GgufBool(AddsSpacePrefix(files.tokenizer)));
}

// ---- Special tokens ----------------------------------------------------------------------------

struct SpecialKey {
  std::string_view hf, gguf;
};
// GGUF's spelling of "separator" is its own.
constexpr std::array kSpecialKeys = std::to_array<SpecialKey>({{"bos", "bos"},
                                                               {"eos", "eos"},
                                                               {"unk", "unknown"},
                                                               {"sep", "seperator"},
                                                               {"pad", "padding"},
                                                               {"cls", "cls"},
                                                               {"mask", "mask"}});

/// The content of tokenizer_config's bos_token and the like: a text, or an object that has it.
std::string SpecialText(const HfTokenizerFiles& files, const std::string& key) {
  if (!files.config) return "";
  const json* value = files.config->Find(key);
  if (value == nullptr) return "";
  if (value->is_string()) return value->get<std::string>();
  if (!value->is_object()) files.config->Fail(key, "is neither text nor object");
  return JsonObject(*value, files.config->name() + ": " + key).FindString("content").value_or("");
}

/// config.json's bos_token_id and the like; of a list, the first.
std::optional<uint64_t> SpecialId(const JsonObject& config, const std::string& key) {
  const json* value = config.Find(key);
  if (value != nullptr && value->is_array() && !value->empty()) value = &value->front();
  if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
  return value->get<uint64_t>();
}

/// The text that the post-processor puts at one end of what it is given; empty: none.
std::string TemplateEnd(const JsonObject& tokenizer, bool first) {
  for (const JsonObject& step : Steps(tokenizer, "post_processor", "processors")) {
    if (step.FindString("type") != "TemplateProcessing") continue;
    const json& parts = step.Array("single");
    if (parts.size() < 2) continue;
    const JsonObject part(first ? parts.front() : parts.back(), step.name() + ": single");
    if (const auto token = part.FindObject("SpecialToken")) {
      return token->FindString("id").value_or("");
    }
  }
  return "";
}

void AddSpecialTokens(const HfTokenizerFiles& files, const Tokens& tokens, GgufMetadata& out) {
  for (const SpecialKey& key : kSpecialKeys) {
    const std::string hf = fmt::format("{}_token", key.hf);
    const auto added = tokens.added.find(SpecialText(files, hf));
    std::optional<uint64_t> id;
    if (added != tokens.added.end()) id = added->second;
    if (!id) id = SpecialId(files.model_config, fmt::format("{}_id", hf));
    if (!id) continue;
    if (*id >= tokens.types.size()) {
      files.model_config.Fail(fmt::format("{}_id", hf),
                              fmt::format("is {}, but vocab_size is {}", *id, tokens.types.size()));
    }
    out.emplace_back(fmt::format("tokenizer.ggml.{}_token_id", key.gguf), GgufUint(*id));
  }
  for (const bool first : {true, false}) {
    const std::string name = first ? "bos" : "eos";
    std::optional<bool> adds;
    const std::string text = TemplateEnd(files.tokenizer, first);
    if (!text.empty()) adds = text == SpecialText(files, fmt::format("{}_token", name));
    if (files.config) {
      const auto said = files.config->FindBool(fmt::format("add_{}_token", name));
      if (said) adds = said;
    }
    if (adds) {
      out.emplace_back(fmt::format("tokenizer.ggml.add_{}_token", name), GgufBool(*adds));
    }
  }
}

/// A text, or a list of named ones, of which the default counts.
std::optional<std::string> ChatTemplate(const HfTokenizerFiles& files) {
  const json* value = files.config ? files.config->Find("chat_template") : nullptr;
  if (value == nullptr) return files.chat_template;
  if (value->is_string()) return value->get<std::string>();
  if (!value->is_array()) files.config->Fail("chat_template", "is neither text nor list");
  for (const json& entry : *value) {
    const JsonObject named(entry, files.config->name() + ": chat_template");
    if (named.FindString("name") == "default") return named.FindString("template");
  }
  return std::nullopt;
}

}  // namespace

GgufMetadata HfTokenizerMetadata(const HfTokenizerFiles& files, uint64_t vocab) {
  const JsonObject model = files.tokenizer.Object("model");
  if (model.FindString("type").value_or("BPE") != "BPE") {
    Unsupported(files.tokenizer,
                fmt::format("is of the kind {}; known: BPE", Quoted(*model.FindString("type"))));
  }
  Tokens tokens(vocab);
  AddVocabulary(model, tokens);
  AddAddedTokens(files, tokens);
  GgufMetadata out;
  GgufMetadata special;
  AddSpecialTokens(files, tokens, special);
  if (model.FindBool("byte_fallback").value_or(false)) {
    AddSentencePiece(files, model, std::move(tokens), out);
  } else {
    AddByteLevel(files, model, std::move(tokens), out);
  }
  out.insert(out.end(), special.begin(), special.end());
  if (auto chat = ChatTemplate(files)) {
    out.emplace_back("tokenizer.chat_template", GgufText(std::move(*chat)));
  }
  return out;
}

}  // namespace crossover::engine
