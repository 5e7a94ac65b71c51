#include "engine/quantize/gptq/nearest_plane.h"

#include <algorithm>
#include <array>
#include <vector>

#include "quant/codes/codes.h"
#include "quant/f32/f32.h"

namespace crossover::engine {
namespace {

constexpr size_t kBlock = 128;  // positions after which errors are spread over the rest
constexpr size_t kSlab = 1024;  // rows at a time

/// Rows of one matrix, with columns by position.
class Slab {
 public:
  Slab(const HessianFactor& factor, quant::Format format, size_t max_rows)
      : factor_(factor),
        n_(factor.size()),
        format_(format),
        face_(*quant::CodesOf(format)),
        weights_(max_rows * n_),
        adjusted_(max_rows * n_),
        base_(max_rows * n_),
        scale_(max_rows * n_),
        plain_(max_rows * n_),
        codes_(max_rows * n_),
        errors_(max_rows * kBlock),
        spread_(n_ * kBlock),
        loss_(max_rows),
        plain_loss_(max_rows) {
    input_.Reserve(max_rows, kBlock);
  }

  /// Called by all workers; `blocks` change.
  void Run(const kernels::Worker& worker, const float* weights, std::byte* blocks, size_t rows) {
    const Share share{worker, worker.Split(rows), rows};
    Load(share, weights, blocks);
    worker.Sync();
    Pass(share, plain_loss_, [&](size_t r, size_t p, float) { return plain_[r * n_ + p]; });
    Pass(share, loss_, [&](size_t r, size_t p, float x) {
      const size_t i = r * n_ + p;
      codes_[i] = quant::NearestCode(face_, base_[i], scale_[i], x);
      return base_[i] + scale_[i] * face_.steps[codes_[i]];
    });
    Store(share, blocks);
    worker.Sync();
  }

  /// Of a row, behind Run.
  GptqLoss loss(size_t row) const {
    return {plain_loss_[row], std::min(plain_loss_[row], loss_[row])};
  }

 private:
  /// A worker and its rows of all.
  struct Share {
    const kernels::Worker& worker;
    kernels::Range rows;
    size_t count;
  };

  size_t row_bytes() const { return quant::Info(format_).row_bytes(n_); }

  void Load(const Share& share, const float* weights, const std::byte* blocks) {
    std::vector<float> base(n_), scale(n_), plain(n_);
    for (size_t r = share.rows.begin; r < share.rows.end; ++r) {
      quant::ReadGrid(format_, blocks + r * row_bytes(), n_, {base, scale});
      quant::Info(format_).decode(blocks + r * row_bytes(), n_, plain.data());
      for (size_t p = 0; p < n_; ++p) {
        const size_t column = factor_.order[p];
        weights_[r * n_ + p] = weights[r * n_ + column];
        base_[r * n_ + p] = base[column];
        scale_[r * n_ + p] = scale[column];
        plain_[r * n_ + p] = plain[column];
      }
    }
  }

  /// From the last position to the first: `choose` gives ŵ for what w has become.
  template <class Choose>
  void Pass(const Share& share, std::vector<double>& loss, const Choose& choose) {
    const kernels::Worker& worker = share.worker;
    for (size_t r = share.rows.begin; r < share.rows.end; ++r) {
      std::copy_n(&weights_[r * n_], n_, &adjusted_[r * n_]);
      loss[r] = 0;
    }
    worker.Sync();
    for (size_t end = n_; end > 0;) {
      const size_t begin = (end - 1) / kBlock * kBlock;
      TransposeSpread(worker, begin, end);
      for (size_t r = share.rows.begin; r < share.rows.end; ++r) {
        loss[r] += RoundBlock(r, begin, end, choose);
      }
      worker.Sync();
      if (begin > 0) {
        const kernels::Matrix w{quant::F32::kFormat, spread_.data(), begin, end - begin};
        input_.Assign(worker, errors_.data(), share.count, end - begin, std::array{&w},
                      kernels::Activations::kF32);
        kernels::MatMul(worker, w, input_, adjusted_.data(), n_, {.accumulate = true});
        worker.Sync();
      }
      end = begin;
    }
  }

  /// spread[j][k] = M[begin + k][j] for the positions j before the block.
  void TransposeSpread(const kernels::Worker& worker, size_t begin, size_t end) {
    const kernels::Range own = worker.Split(begin);
    for (size_t j = own.begin; j < own.end; ++j) {
      for (size_t k = 0; k < end - begin; ++k) {
        spread_[j * (end - begin) + k] = factor_.unit[(begin + k) * n_ + j];
      }
    }
  }

  template <class Choose>
  double RoundBlock(size_t r, size_t begin, size_t end, const Choose& choose) {
    float* x = &adjusted_[r * n_];
    float* errors = &errors_[r * (end - begin)];
    double loss = 0;
    for (size_t p = end; p-- > begin;) {
      const float chosen = choose(r, p, x[p]);
      const float error = weights_[r * n_ + p] - chosen;
      const double miss = double{x[p]} - chosen;
      loss += factor_.pivots[p] * miss * miss;
      errors[p - begin] = error;
      const float* unit = &factor_.unit[p * n_];
      for (size_t j = begin; j < p; ++j) x[j] += error * unit[j];
    }
    return loss;
  }

  void Store(const Share& share, std::byte* blocks) {
    std::vector<uint8_t> codes(n_);
    for (size_t r = share.rows.begin; r < share.rows.end; ++r) {
      if (!(loss_[r] < plain_loss_[r])) continue;
      for (size_t p = 0; p < n_; ++p) codes[factor_.order[p]] = codes_[r * n_ + p];
      quant::PutCodes(format_, codes.data(), n_, blocks + r * row_bytes());
    }
  }

  const HessianFactor& factor_;
  const size_t n_;
  const quant::Format format_;
  const quant::CodeFace& face_;
  std::vector<float> weights_, adjusted_, base_, scale_, plain_;  // [rows][n], by position
  std::vector<uint8_t> codes_;
  std::vector<float> errors_;  // [rows][block]
  std::vector<float> spread_;
  std::vector<double> loss_, plain_loss_;
  kernels::MatMulInput input_;
};

}  // namespace

GptqLoss ChooseCodes(kernels::Team& team, const HessianFactor& factor, quant::Format format,
                     std::span<const float> weights, std::span<std::byte> blocks) {
  const size_t n = factor.size();
  const size_t rows = weights.size() / n;
  const size_t row_bytes = quant::Info(format).row_bytes(n);
  Slab slab(factor, format, std::min(rows, kSlab));
  GptqLoss total;
  for (size_t first = 0; first < rows; first += kSlab) {
    const size_t count = std::min(kSlab, rows - first);
    team.Run([&](const kernels::Worker& worker) {
      slab.Run(worker, &weights[first * n], &blocks[first * row_bytes], count);
    });
    for (size_t r = 0; r < count; ++r) {
      const GptqLoss loss = slab.loss(r);
      total.plain += loss.plain;
      total.gptq += loss.gptq;
    }
  }
  return total;
}

}  // namespace crossover::engine
