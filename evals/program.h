// Runs programs that a model wrote.
//
// They may do anything, so each gets a world of its own (sandbox/):
// - a new root: the system's folders of programs and libraries, read-only; devices that hold
//   nothing; a small /tmp in memory, its working directory, which begins empty. All else is absent;
// - new user, network, process, mount, IPC, host name and control group namespaces, and a filter of
//   system calls that lets it make no others and no sockets;
// - another user than root and an empty environment;
// - limits on CPU time, address space, file size, open files and processes, on wall-clock time, and
//   on the memory that it and all that it started hold together.
// All that it started ends with it. Where the system refuses any of this nothing is run.
//
// A program passes if the driver that runs its text comes to the line behind it: then the driver
// passes on a secret that it was not shown before. An exit status can be had by leaving early. A
// program that knows the driver can still forge it, as it runs in the same process: that is deceit,
// not a mistake that a model makes.
#pragma once

#include <linux/filter.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::evals {

struct ProgramLimits {
  std::chrono::milliseconds wall{10'000};
  size_t cpu_seconds = 3;  // lm-evaluation-harness's limit, which there is wall-clock time
  size_t memory_bytes = size_t{1} << 30;  // address space of each process; resident of all
  size_t file_bytes = size_t{1} << 20;
  size_t processes = 8;
  size_t directory_bytes = size_t{16} << 20;
};

class ProgramRunner {
 public:
  /// Runs an empty program to see that all protections can be had. Error(kUnsupported) says which
  /// one cannot, or that there is no Python.
  explicit ProgramRunner(const ProgramLimits& limits = {});

  /// Runs a Python program to its end. Empty if it came to its last line and ended with status 0;
  /// else what it failed by: the last line that it wrote, a signal, "time limit", "memory limit" or
  /// "left before its last line". Error(kIo, kInterrupted).
  std::string Run(std::string_view program) const;

 private:
  struct Outcome {
    std::string failure;  // empty if it passed
    size_t most_bytes;    // that it held at once, as far as was seen
  };
  Outcome RunOnce(std::string_view program) const;

  ProgramLimits limits_;
  std::string python_;
  std::vector<sock_filter> filter_;
};

}  // namespace crossover::evals
