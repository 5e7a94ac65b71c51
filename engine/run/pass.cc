#include "engine/run/pass.h"

#include <array>

#include "kernels/rows.h"

namespace crossover::engine {

using kernels::Range;

void Pass::Look(Step step, size_t layer, std::span<const float> values, size_t count) const {
  if (probe == nullptr) return;
  worker.Sync();
  if (worker.rank == 0) (*probe)(step, layer, values.first(count));
  worker.Sync();
}

kernels::Norm Pass::NormOf(const NormWeights& norm) const {
  return {.weight = norm.weight.data(),
          .bias = DataOrNull(norm.bias),
          .eps = config.norm_eps,
          .kind = config.norm};
}

void Pass::Tap(const ProductPlace& place, std::span<const float> rows, size_t count,
               size_t cols) const {
  if (tap == nullptr) return;
  (*tap)(worker, {place, rows.first(count * cols), count, cols});
  worker.Sync();
}

void Pass::AssignNormed(const NormWeights& norm, std::span<const kernels::Matrix* const> readers,
                        const ProductPlace& place) const {
  if (tap != nullptr) {
    // Norms that readers take in other forms would not stand in a.normed.
    const Range rows = worker.Split(norm.empty() ? 0 : tokens());
    for (size_t t = rows.begin; t < rows.end; ++t) {
      kernels::Normalize(NormOf(norm), &a.x[t * config.dim], config.dim, &a.normed[t * config.dim]);
    }
    worker.Sync();
    const std::span<float> input = norm.empty() ? a.x : a.normed;
    Tap(place, input, tokens(), config.dim);
    a.input.Assign(worker, input.data(), tokens(), config.dim, readers, activations);
    return;
  }
  if (norm.empty()) {
    a.input.Assign(worker, a.x.data(), tokens(), config.dim, readers, activations);
    return;
  }
  a.input.AssignNormed(worker, a.x.data(), NormOf(norm), a.normed.data(), tokens(), config.dim,
                       readers, activations);
}

void Pass::AddProjection(const kernels::Matrix& w, const kernels::MatMulInput& input,
                         std::span<const float> bias, const NormWeights& post_norm) const {
  const bool plain = post_norm.empty() && config.residual_scale == 1;
  kernels::MatMul(worker, w, input, (plain ? a.x : a.normed).data(), config.dim,
                  {.bias = DataOrNull(bias), .accumulate = plain});
  worker.Sync();
  if (!plain && !products_only()) AddBranch(a.normed, post_norm);
}

void Pass::AddBranch(std::span<float> y, const NormWeights& post_norm) const {
  const Range rows = worker.Split(tokens());
  for (size_t t = rows.begin; t < rows.end; ++t) {
    float* row = &y[t * config.dim];
    if (!post_norm.empty()) kernels::Normalize(NormOf(post_norm), row, config.dim, row);
    if (config.residual_scale != 1) kernels::Scale(config.residual_scale, config.dim, row);
    kernels::Add(row, config.dim, &a.x[t * config.dim]);
  }
  worker.Sync();
}

}  // namespace crossover::engine
