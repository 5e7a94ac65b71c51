#include "engine/files/hf_special_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "engine/files/gguf_cursor.h"
#include "engine/files/hf_text_steps.h"

namespace crossover::engine {
namespace {

using nlohmann::json;

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

/// A token that the post-processor puts at an end of what it is given.
struct EndToken {
  std::string text;
  std::optional<uint64_t> id;  // nullopt: the added token's of that text
};

struct Ends {
  std::optional<EndToken> first, last;
};

std::optional<EndToken>& EndOf(Ends& ends, bool first) { return first ? ends.first : ends.last; }

void SetEnd(const JsonObject& step, EndToken token, bool first, Ends& ends) {
  std::optional<EndToken>& end = EndOf(ends, first);
  if (end) {
    step.Unsupported(fmt::format("puts both {} and {} {} a text, but GGUF has room for one token",
                                 Quoted(end->text), Quoted(token.text),
                                 first ? "before" : "behind"));
  }
  end = std::move(token);
}

/// What "special_tokens" says of a text, if it does.
std::optional<uint64_t> TemplateId(const JsonObject& step, const std::string& text) {
  const auto tokens = step.FindObject("special_tokens");
  const auto token = tokens ? tokens->FindObject(text) : std::nullopt;
  if (!token) return std::nullopt;
  const json& ids = token->Array("ids");
  if (ids.size() != 1 || !ids[0].is_number_unsigned()) token->Fail("ids", "is not one token's id");
  return ids[0].get<uint64_t>();
}

/// "single": tokens, the text A once, tokens.
void ReadTemplate(const JsonObject& step, Ends& ends) {
  bool first = true;
  for (const json& entry : step.Array("single")) {
    const JsonObject part(entry, step.name() + ": single");
    if (const auto sequence = part.FindObject("Sequence")) {
      if (!first || sequence->FindString("id").value_or("A") != "A") {
        step.Unsupported("puts a text elsewhere than once in the middle");
      }
      first = false;
      continue;
    }
    const std::string text = part.Object("SpecialToken").FindString("id").value_or("");
    SetEnd(step, {text, TemplateId(step, text)}, first, ends);
  }
  if (first) step.Unsupported("has no place for the text");
}

/// ["</s>", 2]
EndToken TokenAndId(const JsonObject& step, std::string_view key) {
  const json& pair = step.Array(key);
  if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number_unsigned()) {
    step.Fail(key, "is no token with its id");
  }
  return {pair[0].get<std::string>(), pair[1].get<uint64_t>()};
}

Ends ReadPostProcessor(const JsonObject& tokenizer) {
  Ends ends;
  for (const JsonObject& step : HfSteps(tokenizer, "post_processor", "processors")) {
    const std::string type = step.FindString("type").value_or("");
    if (type == "TemplateProcessing") {
      ReadTemplate(step, ends);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      SetEnd(step, TokenAndId(step, "cls"), true, ends);
      SetEnd(step, TokenAndId(step, "sep"), false, ends);
    } else if (type != "ByteLevel") {  // which only says where in the text tokens lie
      step.Unsupported(
          fmt::format("{} is a post-processor that cannot be converted", Quoted(type)));
    }
  }
  return ends;
}

/// The content of bos_token and the like in tokenizer_config.json, else in special_tokens_map.json:
/// a text, or an object that has it.
std::string SpecialText(const HfTokenizerFiles& files, const std::string& key) {
  for (const auto* file : {&files.config, &files.special_tokens_map}) {
    const json* value = *file ? (*file)->Find(key) : nullptr;
    if (value == nullptr) continue;
    if (value->is_string()) return value->get<std::string>();
    if (!value->is_object()) (*file)->Fail(key, "is neither text nor object");
    return JsonObject(*value, (*file)->name() + ": " + key).FindString("content").value_or("");
  }
  return "";
}

/// config.json's bos_token_id and the like: one id, or a list.
std::vector<uint64_t> SpecialIds(const JsonObject& config, const std::string& key) {
  const json* value = config.Find(key);
  if (value == nullptr) return {};
  std::vector<uint64_t> ids;
  const json list = value->is_array() ? *value : json::array({*value});
  for (const json& id : list) {
    if (id.is_number_unsigned()) ids.push_back(id.get<uint64_t>());
  }
  return ids;
}

// transformers' classes for SentencePiece vocabularies rebuild the post-processor by their own
// words, whatever tokenizer.json says.
bool ClassAddsBos(const HfTokenizerFiles& files) {
  constexpr auto kClasses = std::to_array<std::string_view>(
      {"LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
       "GemmaTokenizer", "GemmaTokenizerFast"});
  if (!files.config) return false;
  const std::string name = files.config->FindString("tokenizer_class").value_or("");
  return std::ranges::find(kClasses, name) != kClasses.end();
}

class SpecialTokens {
 public:
  SpecialTokens(const HfTokenizerFiles& files,
                const std::map<std::string, uint64_t, std::less<>>& added, uint64_t vocab,
                std::vector<std::string>& warnings)
      : files_(files), added_(added), vocab_(vocab), warnings_(warnings) {}

  GgufMetadata Read() {
    const Ends ends = ReadPostProcessor(files_.tokenizer);
    const bool adds_bos = Adds(ends.first, "add_bos_token", ClassAddsBos(files_));
    const bool adds_eos = Adds(ends.last, "add_eos_token", false);
    for (const SpecialKey& key : kSpecialKeys) {
      std::optional<uint64_t> id = Find(key.hf);
      if (key.hf == "bos" && adds_bos) TakeEnd(ends.first, key.hf, id);
      if (key.hf == "eos" && adds_eos) TakeEnd(ends.last, key.hf, id);
      if (id) AddId(key.gguf, key.hf, *id);
      if (key.hf == "eos" && id) AddOtherEnds(*id);
    }
    out_.emplace_back("tokenizer.ggml.add_bos_token", GgufBool(adds_bos));
    out_.emplace_back("tokenizer.ggml.add_eos_token", GgufBool(adds_eos));
    return std::move(out_);
  }

 private:
  std::optional<uint64_t> Find(std::string_view name) const {
    const auto added = added_.find(SpecialText(files_, fmt::format("{}_token", name)));
    if (added != added_.end()) return added->second;
    const auto ids = SpecialIds(files_.model_config, fmt::format("{}_token_id", name));
    return ids.empty() ? std::nullopt : std::optional(ids.front());
  }

  /// tokenizer_config.json decides where it says something, then its class, then the
  /// post-processor.
  bool Adds(const std::optional<EndToken>& end, const std::string& key, bool class_adds) {
    const auto said = files_.config ? files_.config->FindBool(key) : std::nullopt;
    if (said && *said != end.has_value() && !ClassAddsBos(files_)) {
      warnings_.push_back(
          fmt::format("{}: {} is {}, which counts, though the post-processor of tokenizer.json {}",
                      files_.config->name(), Quoted(key), *said,
                      end ? fmt::format("adds {}", Quoted(end->text)) : "adds none"));
    }
    return said.value_or(class_adds || end.has_value());
  }

  /// What is put there is the post-processor's token, also where another has the name.
  void TakeEnd(const std::optional<EndToken>& end, std::string_view name,
               std::optional<uint64_t>& id) {
    if (!end) return;
    const uint64_t added = IdOf(*end);
    if (id && *id != added) {
      warnings_.push_back(fmt::format(
          "{}: the post-processor adds {} (id {}), though the {} token has the id {}; it counts",
          files_.tokenizer.name(), Quoted(end->text), added, name, *id));
    }
    id = added;
  }

  uint64_t IdOf(const EndToken& end) const {
    if (end.id) return *end.id;
    const auto added = added_.find(end.text);
    if (added == added_.end()) {
      files_.tokenizer.Fail("post_processor",
                            fmt::format("adds {}, which is no token", Quoted(end.text)));
    }
    return added->second;
  }

  void AddId(std::string_view gguf, std::string_view hf, uint64_t id) {
    if (id >= vocab_) {
      files_.model_config.Fail(fmt::format("{}_token_id", hf),
                               fmt::format("is {}, but vocab_size is {}", id, vocab_));
    }
    out_.emplace_back(fmt::format("tokenizer.ggml.{}_token_id", gguf), GgufUint(id));
  }

  /// config.json may list several tokens that end a text. GGUF has two more keys for such.
  void AddOtherEnds(uint64_t eos) {
    auto others = SpecialIds(files_.model_config, "eos_token_id");
    if (others.size() < 2) return;
    std::erase(others, eos);
    constexpr auto kKeys = std::to_array<std::string_view>({"eot", "eom"});
    for (size_t i = 0; i < others.size() && i < kKeys.size(); ++i) {
      AddId(kKeys[i], "eos", others[i]);
    }
    if (others.size() <= kKeys.size()) return;
    warnings_.push_back(fmt::format("{}: 'eos_token_id' lists {} tokens, but GGUF has keys for 3",
                                    files_.model_config.name(), others.size() + 1));
  }

  const HfTokenizerFiles& files_;
  const std::map<std::string, uint64_t, std::less<>>& added_;
  const uint64_t vocab_;
  std::vector<std::string>& warnings_;
  GgufMetadata out_;
};

}  // namespace

GgufMetadata HfSpecialTokens(const HfTokenizerFiles& files,
                             const std::map<std::string, uint64_t, std::less<>>& added,
                             uint64_t vocab, std::vector<std::string>& warnings) {
  return SpecialTokens(files, added, vocab, warnings).Read();
}

}  // namespace crossover::engine
