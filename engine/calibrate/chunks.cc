#include "engine/calibrate/chunks.h"

#include <fmt/format.h>

#include <span>

#include "base/content_identity.h"

namespace crossover::engine {

std::vector<tokenizer::TokenId> CalibrationChunks::Chunk(size_t i) const {
  const auto part = std::span(tokens).subspan(i * length, length);
  std::vector<tokenizer::TokenId> chunk(part.begin(), part.end());
  if (bos) chunk[0] = *bos;
  return chunk;
}

std::string CalibrationChunks::Identity() const {
  return fmt::format("{} {} {}", ContentIdentity(std::as_bytes(std::span(tokens))), length,
                     bos.value_or(-1));
}

}  // namespace crossover::engine
