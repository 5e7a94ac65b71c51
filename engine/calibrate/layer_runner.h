// A model run over a text a layer at a time, with weights that may be exchanged on the way: what
// methods need that look at a layer's inputs as the layers before it, quantised already, make them.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "engine/calibrate/chunks.h"
#include "engine/model/model.h"
#include "engine/run/forward.h"
#include "engine/run/kv_cache.h"

namespace crossover::engine {

class LayerRunner {
 public:
  /// Takes so many chunks at a time as make up some two thousand tokens. `model` stays alive.
  /// Error(kOutOfMemory).
  LayerRunner(const Model& model, const CalibrationChunks& chunks, size_t threads,
              kernels::Activations activations);

  /// The model's, to be exchanged for others of the same shapes.
  Weights& weights() { return weights_; }
  kernels::Team& team() { return team_; }
  size_t max_tokens() const { return activity_.max_tokens; }

  /// x[chunks · length][dim] of all chunks: the residual stream, which is the caller's.
  std::vector<float> Embed();
  /// Runs one block over all of x. `keep`: x becomes what the block leaves; else only `tap` sees
  /// it. Error(kInterrupted) between batches.
  void Run(Block block, size_t layer, std::vector<float>& x, bool keep, const ProductTap* tap);
  /// The logits of x, what the last layer left, for every `step`th token of each chunk: row after
  /// row.
  void Logits(const std::vector<float>& x, size_t step,
              const std::function<void(size_t row, std::span<const float> logits)>& take);

 private:
  FlatBatch Batch(size_t first, size_t count) const;
  void RunBatch(const FlatBatch& batch, Block block, size_t layer, const ProductTap* tap);

  const Model& model_;
  const CalibrationChunks& chunks_;
  kernels::Activations activations_;
  Weights weights_;
  kernels::Team team_;
  size_t together_;  // chunks a batch
  Activity activity_;
  KvCache kv_;
  std::vector<SequenceId> sequences_;
};

}  // namespace crossover::engine
