#include "kernels/team.h"

#include <hwy/cache_control.h>
#include <omp.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "kernels/start_threads.h"

namespace crossover::kernels {
namespace {

// Steps are microseconds apart, so waiting threads spin; but with fewer free cores than threads the
// one waited for needs this core. 4000 pauses are some 50 to 200 µs.
constexpr size_t kSpinsBeforeYield = 4000;

/// WorkPart::state: 16 bits of step, 24 each of begin and end.
constexpr uint64_t kBoundMask = (uint64_t{1} << 24) - 1;

constexpr uint64_t PackState(uint16_t step, size_t begin, size_t end) {
  return uint64_t{step} << 48 | uint64_t{begin} << 24 | end;
}

}  // namespace

void Barrier::Wait() {
  const size_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    // Reset before the release: nobody arrives for the next phase until this one ends.
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    return;
  }
  for (size_t spins = 0; phase_.load(std::memory_order_acquire) == phase; ++spins) {
    if (spins < kSpinsBeforeYield) {
      hwy::Pause();
    } else {
      std::this_thread::yield();
    }
  }
}

Range Worker::Split(size_t n, size_t multiple) const {
  const size_t units = (n + multiple - 1) / multiple;
  const size_t each = units / size;
  const size_t extra = units % size;  // the first `extra` workers take one more
  const size_t begin = rank * each + std::min(rank, extra);
  const size_t end = begin + each + (rank < extra ? 1 : 0);
  return {std::min(n, begin * multiple), std::min(n, end * multiple)};
}

void Worker::BeginShare(size_t n, size_t multiple) const {
  WorkPart& own = parts[rank];
  const size_t units = (n + multiple - 1) / multiple;
  assert(units <= kBoundMask);  // a model with more rows is refused when it is read (kMaxModelRows)
  const Range mine = Split(units);
  own.state.store(PackState(++own.step, mine.begin, mine.end), std::memory_order_relaxed);
}

Range Worker::Take(size_t owner, size_t least) const {
  // The pieces shrink, so that the last are small and calls few.
  constexpr size_t kPortion = 4;
  std::atomic<uint64_t>& state = parts[owner].state;
  const uint16_t step = parts[rank].step;
  // Relaxed: a piece is but numbers; the barrier after the step orders what was written.
  for (uint64_t seen = state.load(std::memory_order_relaxed);;) {
    const size_t begin = seen >> 24 & kBoundMask;
    const size_t end = seen & kBoundMask;
    if (static_cast<uint16_t>(seen >> 48) != step || begin >= end) return {};
    const size_t portion = (end - begin) / kPortion / least * least;
    const size_t count = std::min(end - begin, std::max(least, portion));
    const Range piece = owner == rank ? Range{begin, begin + count} : Range{end - count, end};
    const uint64_t left =
        owner == rank ? PackState(step, piece.end, end) : PackState(step, begin, piece.begin);
    if (state.compare_exchange_weak(seen, left, std::memory_order_relaxed)) return piece;
  }
}

Team::Team(size_t threads) : size_(threads), parts_(threads > 1 ? threads : 0) {
  if (threads == 0) throw Error(ErrorCode::kInvalidArgument, "a team needs at least one thread");
  RequireThreads(threads);
  if (threads > 1) barrier_ = std::make_unique<Barrier>(threads);
  scratch_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) {
    Bytes p = AllocateBytes(kScratchBytes);
    if (p == nullptr) {
      throw Error(ErrorCode::kOutOfMemory, "no memory for the scratch space of " +
                                               std::to_string(threads) +
                                               " threads; use fewer (--threads)");
    }
    scratch_pointers_.push_back(p.get());
    scratch_.push_back(std::move(p));
  }
  // A barrier for more threads than there are would never open, so the runtime shows once what it
  // gives. (OMP_DYNAMIC would let it give another number next time.)
  omp_set_dynamic(0);
  int given = 0;
#pragma omp parallel num_threads(static_cast <int>(size_))
  {
    if (omp_get_thread_num() == 0) given = omp_get_num_threads();
  }
  if (static_cast<size_t>(given) != size_) {
    throw Error(ErrorCode::kUnsupported, "OpenMP gives " + std::to_string(given) + " of " +
                                             std::to_string(size_) +
                                             " threads; lower --threads or raise OMP_THREAD_LIMIT");
  }
}

void Team::RunErased(void (*call)(void*, const Worker&), void* body) {
  if (omp_in_parallel() != 0) {
    throw Error(ErrorCode::kInvalidArgument, "a team cannot run inside another team's region");
  }
#pragma omp parallel num_threads(static_cast <int>(size_)) default(none) firstprivate(call, body)
  {
    const auto rank = static_cast<size_t>(omp_get_thread_num());
    call(body, Worker{.rank = rank,
                      .size = size_,
                      .barrier = barrier_.get(),
                      .scratch = {scratch_[rank].get(), kScratchBytes},
                      .team_scratch = scratch_pointers_,
                      .parts = parts_});
  }
}

}  // namespace crossover::kernels
