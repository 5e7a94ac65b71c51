#include "kernels/huge_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace crossover::kernels {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

void FreeBytes::operator()(std::byte* p) const { std::free(p); }

Bytes AllocateBytes(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  if (bytes > SIZE_MAX - alignment) return nullptr;
  const size_t size = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
  auto* p = static_cast<std::byte*>(std::aligned_alloc(alignment, size));
  if (p != nullptr && alignment == kHugePage) madvise(p, size, MADV_HUGEPAGE);  // advice only
  return Bytes(p);
}

}  // namespace crossover::kernels
