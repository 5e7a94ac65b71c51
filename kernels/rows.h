// Elementwise and row-wise steps of a transformer layer, on float32. Each works on one row and is
// called for a worker's own rows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossover::kernels {

/// out[i] = x[i] · weight[i] / sqrt(mean(x²) + eps). `out` may be `x`. The squares are summed in
/// double, in an order that is the same at every ISA level, so results are identical bit for bit
/// everywhere; the error is that of the two float32 products, below 2 units in the last place.
void RmsNorm(const float* x, const float* weight, size_t n, float eps, float* out);

/// out[i] = (x[i] - mean(x)) · weight[i] / sqrt(variance(x) + eps) + bias[i]  (arXiv 1607.06450).
/// `bias` may be null, `out` may be `x`. Mean and variance are summed in double in an order that is
/// the same at every ISA level.
void LayerNorm(const float* x, const float* weight, const float* bias, size_t n, float eps,
               float* out);

enum class NormKind : uint8_t { kRms, kLayer };

/// A norm and its weights.
struct Norm {
  const float* weight = nullptr;
  const float* bias = nullptr;  // of kLayer, or none
  float eps = 0;
  NormKind kind = NormKind::kRms;
};
void Normalize(const Norm& norm, const float* x, size_t n, float* out);

/// y[i] += x[i].
void Add(const float* x, size_t n, float* y);

/// x[i] *= factor.
void Scale(float factor, size_t n, float* x);

/// x[i] ← cap · tanh(x[i] / cap), which bounds scores and logits smoothly (arXiv 2408.00118).
void SoftCap(float cap, size_t n, float* x);

/// What a gated linear unit does to its gate (arXiv 2002.05202):
///   kSilu  silu(z) = z / (1 + e^-z)
///   kGelu  gelu(z) = z/2 · (1 + tanh(√(2/π) · (z + 0.044715 z³))), GELU's usual approximation
enum class Gate : uint8_t { kSilu, kGelu };

/// gate[i] = f(gate[i]) · up[i].
void GatedUnit(Gate f, const float* up, size_t n, float* gate);

/// gpt-oss's unit, of which a little more than silu(g) · u is left where nothing is large:
/// gate[i] = g · sigmoid(1.702 g) · (u + 1), g = min(gate[i], 7), u = up[i] clamped to ±7.
/// `up` is written over.
void ClampedUnit(float* up, size_t n, float* gate);

/// x[i] ← f(x[i]), for feed-forward blocks without a gate: gelu(x), or max(x, 0)².
void Gelu(size_t n, float* x);
void ReluSquared(size_t n, float* x);

/// How the rotated pairs lie in a head: (2i, 2i+1) in llama files, (i, i + rotary_dim/2) elsewhere.
enum class RopeStyle { kInterleaved, kNeox };

/// cos_sin[i] for pair i < rotary_dim/2 at `position`: angle = position · base^(-2i/rotary_dim) /
/// factor[i]; `factors` may be null (all 1). Writes rotary_dim/2 cosines, then as many sines, each
/// times `magnitude`. Angles are computed and reduced in double: at position 131072 they are still
/// exact to 1e-9, where float32 would be off by 8e-3.
void RopeTable(size_t position, size_t rotary_dim, float base, const float* factors,
               float magnitude, float* cos_sin);

/// Rotates `heads` heads of `head_dim` floats in place; the first rotary_dim values of each turn:
/// (a, b) ← (a·cos - b·sin, a·sin + b·cos).
void Rope(float* x, size_t heads, size_t head_dim, size_t rotary_dim, RopeStyle style,
          const float* cos_sin);

/// x ← softmax(x), in place, in float32. -∞ gets 0; a row with a NaN, a +∞ or nothing but -∞ has no
/// softmax and becomes NaN throughout. Perplexity does not use it: its protocol fixes the order and
/// precision of the sums (engine/run/log_softmax.h).
void Softmax(size_t n, float* x);

}  // namespace crossover::kernels
