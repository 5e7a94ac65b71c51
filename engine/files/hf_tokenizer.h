// A Hugging Face tokenizer in GGUF's terms: tokenizer.json, with what tokenizer_config.json and
// config.json say of special tokens.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/files/hf_config.h"
#include "engine/files/json_object.h"

namespace crossover::engine {

struct HfTokenizerFiles {
  JsonObject tokenizer;                               // tokenizer.json
  std::optional<JsonObject> config;                   // tokenizer_config.json
  std::optional<std::string> chat_template;           // chat_template.jinja
  JsonObject model_config;                            // config.json
  std::optional<JsonObject> special_tokens_map = {};  // special_tokens_map.json
  std::optional<JsonObject> chat_template_json = {};  // chat_template.json
  /// Of additional_chat_templates/NAME.jinja, by name.
  std::map<std::string, std::string> named_templates = {};
};

/// The keys tokenizer.*: byte-level BPE ("gpt2", its pre-tokenizer recognised by the patterns) or
/// SentencePiece BPE ("llama", scores being the ranks of the merges), padded with unused tokens to
/// `vocab`. What GGUF cannot say, and ordinary text comes out right without, is added to
/// `warnings`, a line each. Error(kUnsupported) for another kind, and for steps without which text
/// would become other tokens; Error(kCorruptFile) for ids that clash or do not fit.
GgufMetadata HfTokenizerMetadata(const HfTokenizerFiles& files, uint64_t vocab,
                                 std::vector<std::string>& warnings);

}  // namespace crossover::engine
