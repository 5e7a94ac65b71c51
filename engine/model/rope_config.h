// How a kind of layer turns positions into angles:
//
//   angle(p, i) = p · base^(-2i/d) / divisor[i],   cosines and sines times `magnitude`
//
// and how the published ways of stretching a model's context come down to divisors and a magnitude.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace crossover::engine {

/// YaRN (arXiv 2309.00071): pairs that turn more than beta_fast times within the context of the
/// first training keep their frequency, those that turn less than beta_slow times are interpolated,
/// between them a blend.
struct Yarn {
  double beta_fast = 32;
  double beta_slow = 1;
  double extrapolation = 1;   // share of the kept frequencies in the blend
  bool rounds_bounds = true;  // the blend's bounds to whole pairs, outwards
};

struct RopeConfig {
  double base = 10000;
  double factor = 1;            // by which positions are stretched: linear interpolation's divisor
  std::optional<Yarn> yarn;     // spares fast pairs the factor
  double magnitude = 1;         // of cosines and sines
  bool own_factors = true;      // the file's rope_freqs hold
  size_t original_context = 0;  // of the first training; beyond it long-RoPE's long divisors hold
};

/// YaRN's magnitude for a stretch: 0.1 ln(factor) + 1.
double YarnMagnitude(double factor);

/// divisor[i] for i < rotary_dim/2; empty where all are 1.
std::vector<float> RopeDivisors(const RopeConfig& config, size_t rotary_dim);

}  // namespace crossover::engine
