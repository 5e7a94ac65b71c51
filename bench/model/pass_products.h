// The matrix products of a forward pass without what lies between them, and the same bytes without
// the products.
#pragma once

#include <cstddef>

#include "engine/model/model.h"
#include "engine/run/forward.h"
#include "kernels/team.h"

namespace crossover::bench {

/// The products of passes of one sequence (engine::RunProducts), on inputs that norms and attention
/// might have left. The output matrix meets the last token alone.
class PassProducts {
 public:
  /// `model` outlives it. Error(kOutOfMemory).
  PassProducts(const engine::Model& model, kernels::Activations activations, size_t max_tokens);

  /// From here on passes are of `tokens`, and inputs are as at first: what passes add to the
  /// residual stream must not grow without end. Not inside a team.
  void Reset(size_t tokens);
  /// Called by all workers. `weights`: the model's, or the same on other data.
  void Run(const kernels::Worker& worker, const engine::Weights& weights);

  /// [vocab], of the last Run.
  const std::vector<float>& logits() const { return activity_.logits; }

 private:
  const engine::ModelConfig& config_;
  kernels::Activations activations_;
  engine::Activity activity_;
  engine::FlatBatch batch_;
};

/// Called by all workers: reads every matrix once with the widest loads, shared out as products
/// share out rows. With `prefetch` as kernels::ReadMemory.
void StreamWeights(const kernels::Worker& worker, const engine::Weights& weights, bool prefetch);

/// Bytes that StreamWeights reads: all of the matrices but some 500 an alignment leaves at a
/// share's ends.
double StreamBytes(const engine::Weights& weights);

}  // namespace crossover::bench
