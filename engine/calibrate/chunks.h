// A calibration text as chunks of tokens, each a sequence of its own.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace crossover::engine {

struct CalibrationChunks {
  std::vector<tokenizer::TokenId> tokens;
  size_t length = 0;  // tokens a chunk, none of which overlap
  size_t count = 0;
  /// Takes the place of each chunk's first token, as in llama-imatrix and llama-perplexity.
  std::optional<tokenizer::TokenId> bos;

  std::vector<tokenizer::TokenId> Chunk(size_t i) const;
  /// Names tokens, length and BOS, not the number of chunks.
  std::string Identity() const;
};

/// Work done and in all, from one thread; may be null.
using CalibrationProgress = std::function<void(size_t done, size_t total)>;

}  // namespace crossover::engine
