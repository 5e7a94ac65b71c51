#include "base/unfinished_files.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

namespace crossover {
namespace {

constexpr size_t kMost = 64;
constexpr size_t kLongestName = 255;

enum State : int { kFree, kBeingFilled, kListed };

struct Slot {
  std::atomic<State> state = kFree;
  pid_t owner = 0;
  int folder = -1;
  std::array<char, kLongestName + 1> name = {};
};

// A signal handler can reach nothing but a global.
std::array<Slot, kMost> slots;
static_assert(std::atomic<State>::is_always_lock_free);

}  // namespace

UnfinishedFile::UnfinishedFile(int folder, std::string_view name) {
  if (name.size() > kLongestName) return;
  for (size_t i = 0; i < slots.size(); ++i) {
    State expected = kFree;
    if (!slots[i].state.compare_exchange_strong(expected, kBeingFilled)) continue;
    slots[i].owner = getpid();
    slots[i].folder = folder;
    *std::copy(name.begin(), name.end(), slots[i].name.begin()) = '\0';
    slots[i].state = kListed;
    slot_ = static_cast<int>(i);
    return;
  }
}

UnfinishedFile& UnfinishedFile::operator=(UnfinishedFile&& other) noexcept {
  if (this == &other) return *this;
  Forget();
  slot_ = std::exchange(other.slot_, -1);
  return *this;
}

void UnfinishedFile::Forget() {
  if (slot_ >= 0) slots[static_cast<size_t>(std::exchange(slot_, -1))].state = kFree;
}

void RemoveUnfinishedFiles() {
  for (const Slot& slot : slots) {
    // A child of fork has the list, and nothing to do with it.
    if (slot.state == kListed && slot.owner == getpid()) {
      unlinkat(slot.folder, slot.name.data(), 0);
    }
  }
}

}  // namespace crossover
