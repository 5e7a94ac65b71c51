#include "kernels/start_threads.h"

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"

namespace crossover::kernels {
namespace {

void* WaitAtGate(void* gate) {
  const std::lock_guard<std::mutex> pass(*static_cast<std::mutex*>(gate));
  return nullptr;
}

}  // namespace

// Starts them for once. The runtime's own come to lie where these did, and stay.
bool CanStartThreads(size_t count) {
  static std::atomic<size_t> most = 1;
  const size_t before = most;
  if (count <= before) return true;
  std::vector<pthread_t> threads(count - before);
  std::mutex gate;
  size_t started = 0;
  {
    const std::lock_guard<std::mutex> closed(gate);
    while (started < threads.size() &&
           pthread_create(&threads[started], nullptr, WaitAtGate, &gate) == 0) {
      ++started;
    }
  }
  for (size_t i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
  if (started < threads.size()) return false;
  most = count;
  return true;
}

void RequireThreads(size_t count) {
  if (CanStartThreads(count)) return;
  throw Error(ErrorCode::kOutOfMemory,
              "cannot start " + std::to_string(count) +
                  " threads; use fewer (--threads), or raise the limits of memory and processes "
                  "(ulimit -v, ulimit -u)");
}

}  // namespace crossover::kernels
