// H = Σ x·xᵀ over the inputs x of a product: what an error of its weights costs, for the squared
// error of an output w·x is (w - ŵ) H (w - ŵ)ᵀ.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/matmul.h"

namespace crossover::engine {

class Hessian {
 public:
  /// Of n columns, for batches of up to max_tokens. Error(kOutOfMemory).
  Hessian(size_t n, size_t max_tokens);

  /// Adds a batch x[tokens][n]; called by all workers, all return after a barrier.
  void Add(const kernels::Worker& worker, std::span<const float> x, size_t tokens);

  size_t size() const { return n_; }
  float At(size_t i, size_t j) const { return i >= j ? h_[i * n_ + j] : h_[j * n_ + i]; }

 private:
  size_t n_;
  std::vector<float> h_;           // [n][n], of which the lower triangle counts
  std::vector<float> transposed_;  // of a batch
  kernels::MatMulInput input_;
};

}  // namespace crossover::engine
