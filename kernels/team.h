// Threads as kernels see them: every kernel is called by all workers of a team at once and does its
// own share (SPMD), so that a whole forward pass is one parallel region and a step costs one
// barrier.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/huge_pages.h"

namespace crossover::kernels {

struct Range {
  size_t begin = 0;
  size_t end = 0;
  size_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
};

/// Spins, then yields: steps of a forward pass are microseconds apart.
class Barrier {
 public:
  explicit Barrier(size_t size) : size_(size) {}
  void Wait();

 private:
  const size_t size_;
  alignas(64) std::atomic<size_t> arrived_{0};
  alignas(64) std::atomic<size_t> phase_{0};
};

/// What is left of a worker's part of the step it is in (Worker::Share), for others to take from.
struct alignas(64) WorkPart {
  // Step, begin and end in one word, so that a part is taken with one exchange, and a worker that
  // is a step ahead sees that there is nothing for it here.
  std::atomic<uint64_t> state{0};
  uint16_t step = 0;  // the owner's
};

/// One thread's place in a running team.
struct Worker {
  size_t rank = 0;
  size_t size = 1;
  Barrier* barrier = nullptr;    // null in a team of one
  std::span<std::byte> scratch;  // this worker's own, 64-byte aligned, kScratchBytes
  std::span<std::byte* const> team_scratch = {};  // every worker's, by rank, to hand results over
  std::span<WorkPart> parts = {};  // every worker's, by rank; empty: nobody takes from another

  void Sync() const {
    if (barrier != nullptr) barrier->Wait();
  }
  /// This worker's contiguous share of [0, n), with bounds at multiples of `multiple`.
  Range Split(size_t n, size_t multiple = 1) const;

  /// Calls body(Range) on pieces of [0, n) until none is left, with bounds at multiples of
  /// `multiple`. Each piece but the last is `least` multiples or several times that. A worker takes
  /// pieces from the front of its own Split first, then from the back of what others have not
  /// reached: threads are never equally fast (other processes, cores of two kinds), and a barrier
  /// waits for the slowest.
  /// Called by all workers with the same arguments; no barrier at the end.
  template <class Body>
  void Share(size_t n, size_t multiple, size_t least, Body&& body) const {
    if (parts.empty()) {
      if (const Range all = Split(n, multiple); !all.empty()) body(all);
      return;
    }
    BeginShare(n, multiple);
    for (size_t i = 0; i < size; ++i) {
      const size_t owner = (rank + i) % size;
      for (Range r = Take(owner, least); !r.empty(); r = Take(owner, least)) {
        body(Range{r.begin * multiple, std::min(n, r.end * multiple)});
      }
    }
  }

 private:
  void BeginShare(size_t n, size_t multiple) const;
  /// A piece of what `owner` has left, in multiples; empty if nothing is, or if it is at another
  /// step.
  Range Take(size_t owner, size_t least) const;
};

/// A fixed number of threads with a barrier and scratch memory each.
class Team {
 public:
  static constexpr size_t kScratchBytes = size_t{2} << 20;

  /// `threads` ≥ 1; Error(kOutOfMemory) if the scratch cannot be had, Error(kUnsupported) if OpenMP
  /// gives fewer threads.
  explicit Team(size_t threads);
  size_t size() const { return size_; }

  /// Runs body(const Worker&) on every thread and returns when all have. The body must not throw.
  /// Error(kInvalidArgument) inside another team's body.
  template <class Body>
  void Run(Body&& body) {
    auto call = [](void* context, const Worker& worker) {
      (*static_cast<std::remove_reference_t<Body>*>(context))(worker);
    };
    RunErased(call, const_cast<void*>(static_cast<const void*>(&body)));
  }

 private:
  void RunErased(void (*call)(void*, const Worker&), void* body);

  size_t size_;
  std::unique_ptr<Barrier> barrier_;
  std::vector<Bytes> scratch_;
  std::vector<std::byte*> scratch_pointers_;
  std::vector<WorkPart> parts_;
};

}  // namespace crossover::kernels
