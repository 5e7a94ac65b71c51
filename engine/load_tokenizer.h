// The tokenizer that a GGUF file describes.
#pragma once

#include <memory>

#include "engine/gguf.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

/// Error(kCorruptFile) if the file carries none or a broken one.
std::unique_ptr<const tokenizer::Tokenizer> LoadTokenizer(const GgufFile& file);

}  // namespace crossover::engine
