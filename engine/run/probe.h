// A look at what each step of a forward pass leaves, to find where something went wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace crossover::engine {

enum class Step : uint8_t {
  kEmbedding,
  kQuery,
  kKey,
  kValue,
  kRotation,   // of q and k, with their norms
  kAttention,  // softmax(q · Kᵀ) · V, K and V as the cache holds them
  kAttentionOutput,
  kGate,
  kUp,
  kDown,
  kLogits,
};

/// values: float32, a row a token (kLogits: a row each that is wanted). Called by one worker while
/// the others wait.
using Probe = std::function<void(Step step, size_t layer, std::span<const float> values)>;

}  // namespace crossover::engine
