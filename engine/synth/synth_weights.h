// Random weights in any format at the speed of copying: a tensor is filled with blocks drawn from a
// pool that was encoded once. Encoding each of 14 G weights would take hours, and kernels cannot
// tell the difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "engine/synth/synth_model.h"
#include "quant/format.h"

namespace crossover::engine {

class SynthWeights {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  explicit SynthWeights(uint64_t seed) : seed_(seed) {}

  /// Hands the tensor's bytes in `format` to `sink`, piece by piece. They depend on the seed, the
  /// tensor's name, shape and distribution and the format, not on what was made before.
  /// Error(kInterrupted) between pieces.
  void Make(const SynthTensor& tensor, quant::Format format, const Sink& sink);

 private:
  /// Encoded rows of normal weights, of whose blocks any is as good as another.
  using Pool = std::vector<std::byte>;

  void MakeVector(const SynthTensor& tensor, const quant::FormatInfo& format, const Sink& sink);
  const Pool& PoolFor(const SynthTensor& tensor, const quant::FormatInfo& format);

  uint64_t seed_;
  std::map<std::pair<quant::Format, uint64_t>, Pool> pools_;  // by format and row length
  std::vector<std::byte> piece_;
};

}  // namespace crossover::engine
