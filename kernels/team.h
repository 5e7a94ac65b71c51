// Threads as kernels see them: every kernel is called by all workers of a team at once and does its
// own share (SPMD), so that a whole forward pass is one parallel region and a step costs one
// barrier.
#pragma once

#include <atomic>
#include <cstddef>
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

/// One thread's place in a running team.
struct Worker {
  size_t rank = 0;
  size_t size = 1;
  Barrier* barrier = nullptr;    // null in a team of one
  std::span<std::byte> scratch;  // this worker's own, 64-byte aligned, kScratchBytes
  std::span<std::byte* const> team_scratch = {};  // every worker's, by rank, to hand results over

  void Sync() const {
    if (barrier != nullptr) barrier->Wait();
  }
  /// This worker's contiguous share of [0, n), with bounds at multiples of `multiple`.
  Range Split(size_t n, size_t multiple = 1) const;
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
};

}  // namespace crossover::kernels
