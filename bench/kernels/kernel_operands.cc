#include "bench/kernels/kernel_operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "bench/machine/machine.h"
#include "engine/synth/synth_weights.h"
#include "kernels/packed/pack.h"

namespace crossover::bench {
namespace {

using kernels::Layout;
using kernels::Matrix;
using kernels::Team;
using kernels::Worker;

constexpr size_t kAlignment = 64;
// A cache also holds activations and results.
constexpr double kUsable = 0.85;

size_t Capacity(const MachineInfo& machine, std::string_view working_set, size_t threads) {
  if (working_set == "memory") return MemoryWorkingSet(machine);
  const int level = working_set[1] - '0';
  const CacheInfo* cache = machine.FindCache(level);
  if (cache == nullptr) return 0;
  return level < 3 ? threads * cache->bytes : cache->bytes;
}

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

size_t MatrixBytes(const Matrix& w) { return RoundUp(kernels::StoredBytes(w), kAlignment); }

/// Random weights in the file's layout.
std::vector<std::byte> RandomRows(const Matrix& w) {
  std::vector<std::byte> bytes;
  bytes.reserve(kernels::StoredBytes(w));
  const engine::SynthTensor tensor{
      "benchmark", {w.cols, w.rows}, 0, 1 / std::sqrt(static_cast<double>(w.cols)), {}};
  engine::SynthWeights(1).Make(tensor, w.format, [&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  return bytes;
}

}  // namespace

size_t WorkingSetBytes(const MachineInfo& machine, std::string_view working_set, size_t threads) {
  return working_set == "memory" ? MemoryWorkingSet(machine)
                                 : CacheWorkingSet(machine, working_set[1] - '0', threads);
}

std::string LevelOf(const MachineInfo& machine, size_t bytes, size_t threads) {
  for (const char* level : {"L1", "L2", "L3"}) {
    const size_t capacity = Capacity(machine, level, threads);
    if (static_cast<double>(bytes) <= kUsable * static_cast<double>(capacity)) return level;
  }
  return "memory";
}

std::optional<Fit> FitMatrix(const MachineInfo& machine, std::string_view working_set,
                             size_t threads, size_t rows, size_t row_bytes) {
  const size_t budget = WorkingSetBytes(machine, working_set, threads);
  if (budget == 0) return std::nullopt;
  const size_t step = kernels::kRowTile * threads;
  Fit fit{.rows = rows, .copies = 1};
  if (rows * row_bytes > budget) {
    fit.rows = std::min(rows, std::max(step, budget / row_bytes / step * step));
    const auto usable =
        static_cast<size_t>(kUsable * static_cast<double>(Capacity(machine, working_set, threads)));
    if (fit.rows * row_bytes > std::max(budget, usable)) return std::nullopt;
  }
  fit.copies = std::max<size_t>(1, budget / (fit.rows * row_bytes));
  return fit;
}

std::vector<Matrix> WeightStore::Make(Team& team, quant::Format format, Layout layout, size_t cols,
                                      const Fit& fit) {
  Matrix matrix{format, nullptr, fit.rows, cols, layout};
  const size_t bytes = MatrixBytes(matrix);
  const size_t total = bytes * fit.copies;
  const bool same = buffer_ && key_.format == format && key_.layout == layout &&
                    key_.rows == fit.rows && key_.cols == cols && copies_ == fit.copies;
  if (!same) {
    if (!buffer_ || buffer_->size() < total) {
      buffer_.reset();
      buffer_ = std::make_unique<ReadBuffer>(total, total, 0, PageSize::kHuge, team);
    }
    const std::vector<std::byte> rows = RandomRows(matrix);
    if (layout == Layout::kPacked) {
      const Matrix mapped{format, rows.data(), fit.rows, cols};
      team.Run([&](const Worker& worker) { kernels::Pack(worker, mapped, buffer_->data()); });
    } else {
      std::memcpy(buffer_->data(), rows.data(), rows.size());
    }
    team.Run([&](const Worker& worker) {
      worker.Sync();
      const kernels::Range mine = worker.Split(fit.copies);
      for (size_t copy = std::max<size_t>(mine.begin, 1); copy < mine.end; ++copy) {
        std::memcpy(buffer_->data() + copy * bytes, buffer_->data(), bytes);
      }
    });
    key_ = matrix;
    copies_ = fit.copies;
  }
  std::vector<Matrix> copies;
  for (size_t copy = 0; copy < fit.copies; ++copy) {
    matrix.data = buffer_->data() + copy * bytes;
    copies.push_back(matrix);
  }
  return copies;
}

}  // namespace crossover::bench
