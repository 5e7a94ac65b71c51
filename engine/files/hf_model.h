// A model in a directory as Hugging Face distributes them, seen as the GGUF file that a converter
// would make of it: config.json, tokenizer.json, tokenizer_config.json, *.safetensors.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/files/gguf.h"

namespace crossover::engine {

/// Matrices are views into the mapped files, in the type they have there (copies where they lie
/// across the bounds of their numbers); q and k that turn in halves, and in neighbours in GGUF,
/// carry GgufTensor::halved_heads. Vectors are float32, as GGUF wants them. Errors are those of
/// safetensors.h, hf_config.h and hf_tokenizer.h; Error(kCorruptFile) names a tensor that is
/// absent, unknown, or of another shape than the configuration says.
std::shared_ptr<const GgufFile> OpenHuggingFace(const std::filesystem::path& directory,
                                                LoadMode mode = LoadMode::kMmap);

}  // namespace crossover::engine
