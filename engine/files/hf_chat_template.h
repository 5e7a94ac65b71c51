// The chat templates of a Hugging Face directory in GGUF's terms.
#pragma once

#include <string>
#include <vector>

#include "engine/files/hf_tokenizer.h"

namespace crossover::engine {

/// tokenizer.chat_template, and those with other names as tokenizer.chat_template.NAME. Of the
/// places that may hold one, chat_template.jinja counts before tokenizer_config.json and that
/// before chat_template.json, as in transformers; another text in a later one is told.
/// Error(kCorruptFile) for a template that is neither text nor a list of named ones.
void AddChatTemplates(const HfTokenizerFiles& files, GgufMetadata& out,
                      std::vector<std::string>& warnings);

}  // namespace crossover::engine
