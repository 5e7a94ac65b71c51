#include "engine/model/packed_weights.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <vector>

#include "base/error.h"
#include "engine/model/matrices.h"
#include "kernels/packed/pack.h"
#include "kernels/team.h"

namespace crossover::engine {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// In the order in which a pass reads them, so that one stream follows the other.
std::vector<kernels::Matrix*> PackableMatrices(Weights& weights) {
  std::vector<kernels::Matrix*> all;
  ForEachMatrix(weights, [&](kernels::Matrix& w) { all.push_back(&w); });
  std::erase_if(all, [](const kernels::Matrix* w) {
    return w->layout == kernels::Layout::kPacked || !kernels::HasPackedForm(w->format);
  });
  return all;
}

}  // namespace

void PackedWeights::Unmap::operator()(std::byte* p) const { munmap(p, bytes); }

PackedWeights::PackedWeights(Weights& weights, size_t threads,
                             const std::function<void(std::span<const std::byte>)>& packed) {
  const std::vector<kernels::Matrix*> matrices = PackableMatrices(weights);
  if (matrices.empty()) return;
  size_t bytes = kHugePage;  // room to start on a huge page
  for (const kernels::Matrix* w : matrices) bytes += RoundUp(kernels::PackedBytes(*w), 64);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(
        ErrorCode::kOutOfMemory,
        fmt::format("no memory for {} bytes of packed weights; use --weights mapped", bytes));
  }
  region_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(memory), Unmap(bytes));
  madvise(memory, bytes, MADV_HUGEPAGE);  // advice only

  const auto start = RoundUp(reinterpret_cast<uintptr_t>(memory), kHugePage);
  auto* next = region_.get() + (start - reinterpret_cast<uintptr_t>(memory));
  std::vector<std::byte*> places;
  for (const kernels::Matrix* w : matrices) {
    places.push_back(next);
    next += RoundUp(kernels::PackedBytes(*w), 64);
  }
  kernels::Team team(threads);
  team.Run([&](const kernels::Worker& worker) {
    for (size_t i = 0; i < matrices.size(); ++i) {
      const kernels::Matrix& w = *matrices[i];
      kernels::Pack(worker, w, places[i]);
      worker.Sync();
      if (worker.rank == 0)
        packed({static_cast<const std::byte*>(w.data), kernels::StoredBytes(w)});
    }
  });
  for (size_t i = 0; i < matrices.size(); ++i) {
    matrices[i]->data = places[i];
    matrices[i]->layout = kernels::Layout::kPacked;
  }
}

}  // namespace crossover::engine
