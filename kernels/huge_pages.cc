#include "kernels/huge_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
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

void UnmapBytes::operator()(std::byte* p) const { munmap(p, bytes); }

ReservedBytes ReserveBytes(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : 0;
  if (bytes == 0 || bytes > SIZE_MAX - 2 * kHugePage) return nullptr;
  void* mapped = mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* p = static_cast<std::byte*>(mapped);
  if (alignment != 0) {
    // What lies before the first huge page goes back; what lies behind the last stays with it.
    const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(p) % kHugePage) % kHugePage;
    if (before != 0) munmap(p, before);
    p += before;
    bytes += alignment - before;
    madvise(p, bytes, MADV_HUGEPAGE);  // advice only
  }
  return ReservedBytes(p, UnmapBytes{bytes});
}

}  // namespace crossover::kernels
