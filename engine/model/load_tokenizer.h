// The tokenizer that a GGUF file describes.
#pragma once

#include <memory>

#include "engine/files/gguf.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

/// Error(kCorruptFile) if the file carries none or a broken one, a byte-level one without merges
/// for instance. What it leaves unsaid, and keys that are not honoured, are among the tokenizer's
/// warnings.
std::unique_ptr<const tokenizer::Tokenizer> LoadTokenizer(const GgufFile& file);

}  // namespace crossover::engine
