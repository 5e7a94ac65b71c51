// Memory that is read as long streams, or with large strides: huge pages spare most of its page
// walks.
#pragma once

#include <cstddef>
#include <memory>

namespace crossover::kernels {

struct FreeBytes {
  void operator()(std::byte* p) const;
};
using Bytes = std::unique_ptr<std::byte[], FreeBytes>;

/// `bytes` bytes, not touched, aligned to a cache line; from 2 MiB on, to a huge page, and the
/// system is asked for huge pages. Null if there is no memory.
Bytes AllocateBytes(size_t bytes);

struct UnmapBytes {
  size_t bytes = 0;
  void operator()(std::byte* p) const;
};
using ReservedBytes = std::unique_ptr<std::byte[], UnmapBytes>;

/// Address space for `bytes` zero bytes, in huge pages from 2 MiB on: no memory is taken, nor
/// promised, before it is touched, so that it may be larger than all memory. Null if there is none.
ReservedBytes ReserveBytes(size_t bytes);

}  // namespace crossover::kernels
