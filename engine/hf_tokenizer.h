// A Hugging Face tokenizer in GGUF's terms: tokenizer.json, with what tokenizer_config.json and
// config.json say of special tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/hf_config.h"
#include "engine/json_object.h"

namespace crossover::engine {

struct HfTokenizerFiles {
  JsonObject tokenizer;                      // tokenizer.json
  std::optional<JsonObject> config;          // tokenizer_config.json
  std::optional<std::string> chat_template;  // chat_template.jinja
  JsonObject model_config;                   // config.json
};

/// The keys tokenizer.*: byte-level BPE ("gpt2", its pre-tokenizer recognised by the patterns) or
/// SentencePiece BPE ("llama", scores being the ranks of the merges), padded with unused tokens to
/// `vocab`. Error(kUnsupported) for another kind, Error(kCorruptFile) for ids that clash or do not
/// fit.
GgufMetadata HfTokenizerMetadata(const HfTokenizerFiles& files, uint64_t vocab);

}  // namespace crossover::engine
