// Memory to measure with: anonymous or of a file, of one page size, touched before use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/team.h"

namespace crossover::bench {

/// kFile: the system's own pages (4 KiB on x86) of a file in the page cache, mapped shared, as
/// models' files are; it lies in memory alone.
enum class PageSize { k4KiB, kHuge, kFile };

class ReadBuffer {
 public:
  /// Maps `bytes` and touches them, all threads of the team at once, each its share of every piece.
  /// A virtual machine may need seconds for a gigabyte it has not used yet: after `seconds` it is
  /// enough, if at least `least_bytes` are there. Error(kOutOfMemory).
  ReadBuffer(size_t bytes, size_t least_bytes, double seconds, PageSize page_size,
             kernels::Team& team);
  ~ReadBuffer();
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;

  /// Aligned to 2 MiB.
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  /// Bytes that the system backs with huge pages; 0 where it does not say.
  size_t huge_bytes() const;

 private:
  void* mapping_ = nullptr;
  size_t mapped_ = 0;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace crossover::bench
