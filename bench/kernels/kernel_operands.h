// Operands of kernel benchmarks: how much of a matrix a level of memory holds, and matrices made to
// that measure.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/machine/machine_info.h"
#include "bench/machine/read_buffer.h"
#include "kernels/matmul.h"
#include "kernels/team.h"

namespace crossover::bench {

/// How a matrix is laid out in a level: as it is or cut to fewer rows, and how often, so that all
/// copies together are what the level's bandwidth is measured with.
struct Fit {
  size_t rows = 0;
  size_t copies = 0;
};

/// Nothing if the level cannot hold 16 rows a thread, or there is no such level.
std::optional<Fit> FitMatrix(const MachineInfo& machine, std::string_view working_set,
                             size_t threads, size_t rows, size_t row_bytes);

/// Bytes to read from a level: bench machine's measure for it; 0 if there is no such level.
size_t WorkingSetBytes(const MachineInfo& machine, std::string_view working_set, size_t threads);

/// The nearest level that holds so many bytes of all threads.
std::string LevelOf(const MachineInfo& machine, size_t bytes, size_t threads);

/// Copies of one matrix in huge pages. Keeps the last one made: cases that differ in tokens or
/// instruction sets ask for the same.
class WeightStore {
 public:
  /// Matrices with random weights, copies of each other; valid until the next call.
  std::vector<kernels::Matrix> Make(kernels::Team& team, quant::Format format,
                                    kernels::Layout layout, size_t cols, const Fit& fit);

 private:
  std::unique_ptr<ReadBuffer> buffer_;
  kernels::Matrix key_;
  size_t copies_ = 0;
};

}  // namespace crossover::bench
