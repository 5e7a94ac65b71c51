// Weights of any size that all lie in a cache: a piece of memory that fits there, mapped again and
// again behind itself, so that kernels walk through a whole matrix and the caches see the piece
// alone (they go by physical addresses).
#pragma once

#include <cstddef>

#include "bench/machine/machine_info.h"
#include "engine/model/weights.h"

namespace crossover::bench {

class ResidentWeights {
 public:
  /// Maps `bytes`, a multiple of the piece at least. Every byte of the piece is the same, so that a
  /// block of any format, wherever it begins, holds plain numbers: no zeros, infinities or
  /// denormals, which some CPUs are slow with. Error(kOutOfMemory, kUnsupported).
  ResidentWeights(size_t bytes, size_t piece);
  ~ResidentWeights();
  ResidentWeights(const ResidentWeights&) = delete;
  ResidentWeights& operator=(const ResidentWeights&) = delete;

  const std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  /// The same matrices with their data here. Precondition: none is larger than bytes(). The rest
  /// (norms, biases) is the original's.
  engine::Weights Rebind(const engine::Weights& weights) const;

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

/// Bytes that stay in the nearest large cache beside activations: a quarter of level 2, or half of
/// level 1 where there is no other; whole pages.
struct ResidentPiece {
  size_t bytes = 0;
  const char* cache = "";
};
ResidentPiece ChooseResidentPiece(const MachineInfo& machine);

}  // namespace crossover::bench
