// The time that a team needs for a piece of work.
#pragma once

#include <algorithm>
#include <chrono>

#include "kernels/team.h"

namespace crossover::bench {

inline double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds from the moment that all threads are there until all are done with work(worker).
template <class Work>
double TimeTeam(kernels::Team& team, const Work& work) {
  std::chrono::steady_clock::time_point start;
  double seconds = 0;
  team.Run([&](const kernels::Worker& worker) {
    worker.Sync();
    if (worker.rank == 0) start = std::chrono::steady_clock::now();
    work(worker);
    worker.Sync();
    if (worker.rank == 0) seconds = SecondsSince(start);
  });
  return std::max(seconds, 1e-9);
}

/// How often work(worker, times) has to be done to last about `seconds`. Only what the first thread
/// itself needs counts, the least of three: on a busy machine a barrier may wait for a thread that
/// is not even running, which says nothing of the work.
template <class Work>
size_t Calibrate(kernels::Team& team, double seconds, const Work& work) {
  for (size_t times = 1;;) {
    double least = seconds;
    for (int i = 0; i < 3; ++i) {
      team.Run([&](const kernels::Worker& worker) {
        const auto start = std::chrono::steady_clock::now();
        work(worker, times);
        if (worker.rank == 0) least = std::min(least, SecondsSince(start));
      });
    }
    if (least >= seconds / 2) return times;
    times = static_cast<size_t>(static_cast<double>(times) *
                                std::clamp(seconds / std::max(least, 1e-9), 2.0, 100.0));
  }
}

}  // namespace crossover::bench
