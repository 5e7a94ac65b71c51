#include "bench/model/pass_products.h"

#include <algorithm>
#include <cmath>

#include "bench/model/resident_weights.h"
#include "engine/model/matrices.h"
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
    : config_(model.config()), activations_(activations), activity_(model.config(), max_tokens) {
  activity_.logits.resize(config_.vocab);
  Reset(max_tokens);
}

void PassProducts::Reset(size_t tokens) {
  batch_.tokens.assign(tokens, 0);
  batch_.logit_rows = {tokens - 1};
  Fill(activity_.x);
  Fill(activity_.attention);
}

void PassProducts::Run(const Worker& worker, const engine::Weights& weights) {
  engine::RunProducts(worker, config_, weights, activations_, batch_, activity_);
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
