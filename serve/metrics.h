// What the server counts, in the text format of Prometheus.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "serve/batch/runner.h"

namespace crossover::serve {

/// Cumulative buckets of seconds.
class Histogram {
 public:
  void Observe(double seconds);
  void AppendTo(std::string& out, std::string_view name, std::string_view help) const;

 private:
  static constexpr std::array kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                      0.25,  0.5,    1.0,   2.5,  5.0,   10.0, 30.0};
  std::array<uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

/// All calls from any thread.
class Metrics {
 public:
  void CountRequest(std::string_view route, int status);
  void CountPrompt(size_t tokens);
  void CountRefused();   // by a full queue
  void CountVanished();  // clients, before their answer was complete
  void OnToken(const RunningJob& job);

  struct Machine {
    double weight_bytes = 0;       // that one pass reads
    double read_bytes_second = 0;  // what the machine can read at most; 0: not measured
  };
  std::string Render(const RunnerState& state, size_t connections, const Machine& machine) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
  uint64_t prompt_tokens_ = 0;
  uint64_t drawn_tokens_ = 0;
  uint64_t refused_ = 0;
  uint64_t vanished_ = 0;
  Histogram first_token_;
  Histogram between_tokens_;
};

}  // namespace crossover::serve
