#include "engine/quantize/gptq/factor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "quant/f32/f32.h"

namespace crossover::engine {
namespace {

constexpr size_t kBlock = 128;
constexpr size_t kStripe = 512;  // rows that are updated at a time
// Of the scaled matrix, whose diagonal is 1: below it a pivot is rounding.
constexpr double kLeastPivot = 1e-5;

/// Cholesky factor of a matrix in place, by blocks of columns; all workers' state.
class Cholesky {
 public:
  Cholesky(std::vector<float>& a, size_t n)
      : a_(a), n_(n), panel_(n * kBlock), negated_(n * kBlock), diagonal_(kBlock * kBlock) {
    input_.Reserve(std::min(n, kStripe), kBlock);
  }

  /// Whether there is one; called by all workers.
  bool Run(const kernels::Worker& worker) {
    for (size_t begin = 0; begin < n_; begin += kBlock) {
      const size_t end = std::min(n_, begin + kBlock);
      if (worker.rank == 0) FactorDiagonal(begin, end);
      worker.Sync();
      if (failed_) return false;
      SolvePanel(worker, begin, end);
      worker.Sync();
      UpdateRest(worker, begin, end);
    }
    return true;
  }

 private:
  double& L(size_t i, size_t j) { return diagonal_[i * kBlock + j]; }

  void FactorDiagonal(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      for (size_t j = begin; j <= i; ++j) {
        double sum = a_[i * n_ + j];
        for (size_t k = begin; k < j; ++k) sum -= L(i - begin, k - begin) * L(j - begin, k - begin);
        if (i == j && !(sum > kLeastPivot)) failed_ = true;
        L(i - begin, j - begin) = i == j ? std::sqrt(sum) : sum / L(j - begin, j - begin);
        a_[i * n_ + j] = static_cast<float>(L(i - begin, j - begin));
      }
    }
  }

  void SolvePanel(const kernels::Worker& worker, size_t begin, size_t end) {
    const size_t width = end - begin;
    const kernels::Range rows = worker.Split(n_ - end);
    for (size_t r = rows.begin; r < rows.end; ++r) {
      float* row = &a_[(end + r) * n_ + begin];
      double solved[kBlock];
      for (size_t j = 0; j < width; ++j) {
        double sum = row[j];
        for (size_t k = 0; k < j; ++k) sum -= solved[k] * L(j, k);
        solved[j] = sum / L(j, j);
      }
      for (size_t j = 0; j < width; ++j) {
        row[j] = static_cast<float>(solved[j]);
        panel_[r * width + j] = row[j];
        negated_[r * width + j] = -row[j];
      }
    }
  }

  // A[i][j] -= Σ_k P[i][k] P[j][k] for j ≤ i behind the block.
  void UpdateRest(const kernels::Worker& worker, size_t begin, size_t end) {
    const size_t width = end - begin;
    for (size_t first = 0; first < n_ - end; first += kStripe) {
      const size_t rows = std::min(kStripe, n_ - end - first);
      const kernels::Matrix w{quant::F32::kFormat, panel_.data(), first + rows, width};
      input_.Assign(worker, &negated_[first * width], rows, width, std::array{&w},
                    kernels::Activations::kF32);
      kernels::MatMul(worker, w, input_, &a_[(end + first) * n_ + end], n_, {.accumulate = true});
      worker.Sync();
    }
  }

  std::vector<float>& a_;
  size_t n_;
  std::vector<float> panel_, negated_;
  std::vector<double> diagonal_;
  kernels::MatMulInput input_;
  std::atomic<bool> failed_ = false;
};

}  // namespace

HessianFactor FactorHessian(kernels::Team& team, const Hessian& hessian, double damping) {
  const size_t n = hessian.size();
  HessianFactor factor;
  factor.order.resize(n);
  std::iota(factor.order.begin(), factor.order.end(), size_t{0});
  std::stable_sort(factor.order.begin(), factor.order.end(),
                   [&](size_t a, size_t b) { return hessian.At(a, a) < hessian.At(b, b); });
  double mean = 0;
  for (size_t i = 0; i < n; ++i) mean += hessian.At(i, i) / static_cast<double>(n);
  if (!std::isfinite(mean)) {
    throw Error(ErrorCode::kNonFinite,
                "the inputs of a product are no finite numbers; the model is broken, or cannot "
                "read this text");
  }
  // Where no input was seen all errors count alike.
  if (mean == 0) mean = 1;

  std::vector<double> scale(n);
  factor.unit.resize(n * n);
  std::vector<float>& a = factor.unit;
  for (factor.damping = damping;; factor.damping *= 10) {
    const double lambda = factor.damping * mean;
    for (size_t p = 0; p < n; ++p) {
      scale[p] = 1 / std::sqrt(hessian.At(factor.order[p], factor.order[p]) + lambda);
    }
    Cholesky cholesky(a, n);
    std::atomic<bool> done = true;
    team.Run([&](const kernels::Worker& worker) {
      const kernels::Range rows = worker.Split(n);
      for (size_t p = rows.begin; p < rows.end; ++p) {
        for (size_t q = 0; q < p; ++q) {
          a[p * n + q] = static_cast<float>(double{hessian.At(factor.order[p], factor.order[q])} *
                                            scale[p] * scale[q]);
        }
        a[p * n + p] = 1;
      }
      worker.Sync();
      if (!cholesky.Run(worker)) done = false;
    });
    if (done) break;
  }

  factor.pivots.resize(n);
  for (size_t p = 0; p < n; ++p) factor.pivots[p] = std::pow(a[p * n + p] / scale[p], 2);
  for (size_t i = 0; i < n; ++i) {
    for (size_t p = 0; p < i; ++p) {
      a[i * n + p] = static_cast<float>(a[i * n + p] / scale[i] / std::sqrt(factor.pivots[p]));
    }
  }
  for (size_t p = 0; p < n; ++p) a[p * n + p] = 1;
  return factor;
}

}  // namespace crossover::engine
