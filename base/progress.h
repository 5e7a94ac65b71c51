// A progress bar with an ETA on stderr, for work over two seconds; silent when stderr is no
// terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace crossover {

class Progress {
 public:
  /// `total` in any unit of work; `enabled` false (--quiet) draws nothing.
  Progress(std::string label, uint64_t total, bool enabled = true);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Sets the work done so far; draws at most ten times a second. Call from one thread.
  void Update(uint64_t done);
  /// Text behind the bar, for example a running perplexity.
  void Note(std::string note) { note_ = std::move(note); }

 private:
  void Draw(uint64_t done, double elapsed);

  std::string label_;
  std::string note_;
  uint64_t total_;
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace crossover
