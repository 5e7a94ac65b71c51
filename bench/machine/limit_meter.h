// The machine's limits at this moment. On a machine that others use they move by tens of per cent
// within minutes, and figures taken a minute apart make no fraction: what is compared with a limit
// has it measured right before and right after.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bench/machine/read_buffer.h"
#include "kernels/team.h"

namespace crossover::bench {

class LimitMeter {
 public:
  /// Takes memory to read, as much as `bench machine` does, and chooses the faster way of reading.
  explicit LimitMeter(size_t threads);

  /// Bytes a second that all threads read from memory; some 100 ms.
  double ReadBandwidth();
  /// Operations a second of an arithmetic unit (kernels::PeakLoop), in 20 ms; nothing for one that
  /// is not there.
  std::optional<double> Peak(std::string_view unit);

 private:
  double Read(bool prefetch);

  kernels::Team team_;
  ReadBuffer buffer_;
  bool prefetch_ = false;
  std::map<std::string, size_t> peak_times_;  // of a loop, by unit
};

}  // namespace crossover::bench
