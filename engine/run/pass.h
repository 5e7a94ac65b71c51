// A forward pass as one worker sees it, and the blocks of a layer. Internal to engine/run.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "engine/run/forward.h"
#include "kernels/team.h"

namespace crossover::engine {

/// What all steps work on. `kv` is null where products alone are run: then nothing that needs K and
/// V runs, nor what else lies between the products.
struct Pass {
  const kernels::Worker& worker;
  const ModelConfig& config;
  const Weights& weights;
  const kernels::Activations activations;
  const FlatBatch& batch;
  const KvTarget* const kv;
  Activity& a;
  const Probe* const probe;     // null but where somebody looks for a mistake
  const ProductTap* const tap;  // null but where inputs are collected

  size_t tokens() const { return batch.tokens.size(); }
  bool products_only() const { return kv == nullptr; }

  void Look(Step step, size_t layer, std::span<const float> values, size_t count) const;

  /// Shows the input of a product, rows[count][cols], where somebody collects.
  void Tap(const ProductPlace& place, std::span<const float> rows, size_t count, size_t cols) const;

  /// a.input = norm(x), or x itself where there is no norm, in the forms that `readers` take.
  void AssignNormed(const NormWeights& norm, std::span<const kernels::Matrix* const> readers,
                    const ProductPlace& place) const;

  /// x += s · y, or x += s · norm(y), with y = W · input + b.
  void AddProjection(const kernels::Matrix& w, const kernels::MatMulInput& input,
                     std::span<const float> bias, const NormWeights& post_norm) const;

  /// x += s · y, or x += s · norm(y); y[tokens][dim] is written over. Preconditions: a Sync since y
  /// was written; one comes behind.
  void AddBranch(std::span<float> y, const NormWeights& post_norm) const;

  kernels::Norm NormOf(const NormWeights& weights) const;
  float* Angles(size_t rope, size_t token) const {
    return &a.rope[(rope * a.max_tokens + token) * config.rotary_dim];
  }
};

inline const float* DataOrNull(std::span<const float> values) {
  return values.empty() ? nullptr : values.data();
}

/// x += attention(norm(x)).
void AttentionBlock(const Pass& pass, const LayerWeights& layer, size_t index);

/// hidden = unit(W_gate · h + b, W_up · h + b), h = norm(x): into a.ffn_input, as W_down reads it.
void FeedForwardHidden(const Pass& pass, const LayerWeights& layer, size_t index);
/// x += W_down · hidden + b.
void FeedForwardOutput(const Pass& pass, const LayerWeights& layer);

/// x += Σ_e p_e · (W_down,e · hidden_e + b_e) over the experts that a token's router chooses.
void ExpertsBlock(const Pass& pass, const LayerWeights& layer, size_t index);

/// Who reads a block's input, and the hidden values of the `rows` that are a.input; `place`: of the
/// product that reads these.
std::array<const kernels::Matrix*, 2> ReadersOf(const FeedForwardWeights& ffn);
void HiddenOf(const Pass& pass, const FeedForwardWeights& ffn, size_t rows,
              const ProductPlace& place);

}  // namespace crossover::engine
