// Runs programs that a model wrote.
//
// They may do anything, so each gets a world of its own: new user, network, process, mount and IPC
// namespaces (no network, nobody else's processes, all of them gone when it ends), the whole file
// system read-only, an empty working directory in memory, another user than root, an empty
// environment, and limits on CPU time, address space, file size, processes and wall-clock time.
// Where the system refuses any of this nothing is run.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace crossover::evals {

struct ProgramLimits {
  std::chrono::milliseconds wall{10'000};
  size_t cpu_seconds = 3;  // lm-evaluation-harness's limit, which there is wall-clock time
  size_t memory_bytes = size_t{1} << 30;
  size_t file_bytes = size_t{1} << 20;
  size_t processes = 8;
  size_t directory_bytes = size_t{16} << 20;
};

class ProgramRunner {
 public:
  /// Runs an empty program to see that all protections can be had. Error(kUnsupported) says which
  /// one cannot, or that there is no Python.
  explicit ProgramRunner(const ProgramLimits& limits = {});

  /// Runs a Python program to its end. Empty if it ended well (exit status 0); else what it failed
  /// by: the last line that it wrote to stderr, a signal or "time limit". Error(kIo, kInterrupted).
  std::string Run(std::string_view program) const;

 private:
  ProgramLimits limits_;
  std::string python_;
};

}  // namespace crossover::evals
