#include "bench/pass_products.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/resident_weights.h"
#include "kernels/packed/pack.h"
#include "kernels/probe.h"

namespace crossover::bench {
namespace {

using kernels::Matrix;
using kernels::Range;
using kernels::Worker;

// What kernels::ReadMemory asks of its range.
constexpr uintptr_t kReadAlignment = 64;
constexpr size_t kReadStep = 512;

void Fill(std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
}

}  // namespace

PassProducts::PassProducts(const engine::Model& model, kernels::Activations activations,
                           size_t max_tokens)
    : config_(model.config()), activations_(activations), a_(model.config(), max_tokens) {
  a_.logits.resize(config_.vocab);
  Reset();
}

void PassProducts::Reset() {
  Fill(a_.x);
  Fill(a_.attention);
}

void PassProducts::Layer(const Worker& worker, const engine::LayerWeights& layer, size_t tokens) {
  const auto assign_normed = [&](std::span<const float> norm,
                                 std::span<const Matrix* const> readers) {
    a_.input.AssignNormed(worker, a_.x.data(), norm.data(), config_.norm_eps, a_.normed.data(),
                          tokens, config_.dim, readers, activations_);
  };
  // Into `normed` where the model norms what a layer adds; onto the residual stream otherwise.
  const auto project = [&](const Matrix& w, const kernels::MatMulInput& input, bool normed) {
    kernels::MatMul(worker, w, input, (normed ? a_.normed : a_.x).data(), config_.dim,
                    {.accumulate = !normed});
    worker.Sync();
  };
  assign_normed(layer.attention_norm, std::array{&layer.q, &layer.k, &layer.v});
  kernels::MatMul(worker, layer.q, a_.input, a_.q.data(), layer.q.rows);
  kernels::MatMul(worker, layer.k, a_.input, a_.k.data(), layer.k.rows);
  kernels::MatMul(worker, layer.v, a_.input, a_.v.data(), layer.v.rows);
  worker.Sync();
  a_.input.Assign(worker, a_.attention.data(), tokens, config_.heads * config_.head_dim,
                  std::array{&layer.attention_out}, activations_);
  project(layer.attention_out, a_.input, !layer.attention_post_norm.empty());
  assign_normed(layer.ffn_norm, std::array{&layer.gate, &layer.up});
  kernels::MatMulGated(worker, config_.gate, layer.gate, layer.up, a_.input, a_.gate.data(),
                       a_.up.data(), a_.ffn_input, layer.down);
  project(layer.down, a_.ffn_input, !layer.ffn_post_norm.empty());
}

void PassProducts::Run(const Worker& worker, const engine::Weights& weights, size_t tokens) {
  for (const engine::LayerWeights& layer : weights.layers) Layer(worker, layer, tokens);
  a_.input.Assign(worker, &a_.x[(tokens - 1) * config_.dim], 1, config_.dim,
                  std::array{&weights.output}, activations_);
  kernels::MatMul(worker, weights.output, a_.input, a_.logits.data(), config_.vocab);
  worker.Sync();
}

void StreamWeights(const Worker& worker, const engine::Weights& weights, bool prefetch) {
  ForEachMatrix(weights, [&](const Matrix& matrix) {
    const size_t bytes = kernels::StoredBytes(matrix);
    const auto data = reinterpret_cast<uintptr_t>(matrix.data);
    kernels::ShareRows(worker, matrix, [&](Range rows) {
      const uintptr_t begin = (data + bytes * rows.begin / matrix.rows) & ~(kReadAlignment - 1);
      const uintptr_t end = data + bytes * rows.end / matrix.rows;
      const uintptr_t from = std::max(begin, (data + kReadAlignment - 1) & ~(kReadAlignment - 1));
      if (end <= from) return;
      const size_t whole = (end - from) / kReadStep * kReadStep;
      kernels::ReadMemory(reinterpret_cast<const void*>(from), whole, 1, prefetch);
    });
  });
}

double StreamBytes(const engine::Weights& weights) {
  double bytes = 0;
  ForEachMatrix(weights, [&](const Matrix& matrix) {
    bytes += static_cast<double>(kernels::StoredBytes(matrix));
  });
  return bytes;
}

}  // namespace crossover::bench
