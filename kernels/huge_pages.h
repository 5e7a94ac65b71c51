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

}  // namespace crossover::kernels
