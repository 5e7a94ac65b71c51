// Special tokens of a Hugging Face tokenizer: which there are, and which are put around a text.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/files/hf_tokenizer.h"

namespace crossover::engine {

/// tokenizer.ggml.*_token_id, and add_bos_token and add_eos_token, which are always written.
/// `added`: ids of added tokens by content; `vocab`: tokens in all. What post-processor and
/// tokenizer_config.json say differently is told. Error(kCorruptFile) for an id out of range,
/// Error(kUnsupported) for a post-processor that GGUF cannot state.
GgufMetadata HfSpecialTokens(const HfTokenizerFiles& files,
                             const std::map<std::string, uint64_t, std::less<>>& added,
                             uint64_t vocab, std::vector<std::string>& warnings);

}  // namespace crossover::engine
