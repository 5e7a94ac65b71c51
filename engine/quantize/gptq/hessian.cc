#include "engine/quantize/gptq/hessian.h"

#include <algorithm>
#include <array>

#include "quant/f32/f32.h"

namespace crossover::engine {
namespace {

// Rows of H that are made at a time: what lies above the diagonal in them is made in vain.
constexpr size_t kStripe = 256;

}  // namespace

Hessian::Hessian(size_t n, size_t max_tokens) : n_(n), h_(n * n), transposed_(n * max_tokens) {
  input_.Reserve(std::min(n, kStripe), max_tokens);
}

void Hessian::Add(const kernels::Worker& worker, std::span<const float> x, size_t tokens) {
  const kernels::Range columns = worker.Split(n_, 16);
  for (size_t first = columns.begin; first < columns.end; first += 16) {
    const size_t end = std::min(columns.end, first + 16);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t c = first; c < end; ++c) transposed_[c * tokens + t] = x[t * n_ + c];
    }
  }
  worker.Sync();
  for (size_t begin = 0; begin < n_; begin += kStripe) {
    const size_t rows = std::min(kStripe, n_ - begin);
    const kernels::Matrix w{quant::F32::kFormat, transposed_.data(), begin + rows, tokens};
    input_.Assign(worker, &transposed_[begin * tokens], rows, tokens, std::array{&w},
                  kernels::Activations::kF32);
    kernels::MatMul(worker, w, input_, &h_[begin * n_], n_, {.accumulate = true});
    worker.Sync();
  }
}

}  // namespace crossover::engine
