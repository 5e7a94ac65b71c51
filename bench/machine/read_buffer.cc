#include "bench/machine/read_buffer.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace crossover::bench {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kPiece = size_t{64} << 20;

/// A file of the page cache that has no name, mapped; MAP_FAILED.
void* MapFile(size_t bytes) {
  const int fd = memfd_create("crossover-read", MFD_CLOEXEC);
  if (fd < 0) return MAP_FAILED;
  void* mapping = MAP_FAILED;
  if (ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
    mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  return mapping;
}

}  // namespace

ReadBuffer::ReadBuffer(size_t bytes, size_t least_bytes, double seconds, PageSize page_size,
                       kernels::Team& team) {
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  mapped_ = bytes + kHugePage;
  mapping_ = page_size == PageSize::kFile
                 ? MapFile(mapped_)
                 : mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("no {} MiB of memory to measure bandwidth with", mapped_ >> 20));
  }
  const auto address = reinterpret_cast<uintptr_t>(mapping_);
  data_ = reinterpret_cast<std::byte*>((address + kHugePage - 1) / kHugePage * kHugePage);
  // A refusal is no error: huge_bytes() tells what came of it.
  madvise(data_, bytes, page_size == PageSize::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);

  const auto start = std::chrono::steady_clock::now();
  while (size_ < bytes) {
    const size_t piece = std::min(kPiece, bytes - size_);
    team.Run([&](const kernels::Worker& worker) {
      const kernels::Range mine = worker.Split(piece, kHugePage);
      std::memset(data_ + size_ + mine.begin, 0x5A, mine.size());
    });
    size_ += piece;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (elapsed.count() > seconds && size_ >= least_bytes) break;
  }
}

ReadBuffer::~ReadBuffer() { munmap(mapping_, mapped_); }

size_t ReadBuffer::huge_bytes() const {
  std::ifstream in("/proc/self/smaps");
  const auto address = reinterpret_cast<uintptr_t>(data_);
  bool inside = false;
  size_t bytes = 0;
  for (std::string line; std::getline(in, line);) {
    uintptr_t first = 0, last = 0;
    char dash = 0;
    std::istringstream head(line);
    // "7f00-7f80 rw-p …" begins a mapping, "AnonHugePages:  2048 kB" tells of it. The buffer may
    // be split over several.
    if (head >> std::hex >> first >> dash >> last && dash == '-') {
      inside = first < address + size_ && last > address;
    } else if (inside && line.starts_with("AnonHugePages:")) {
      bytes += std::strtoull(line.c_str() + 14, nullptr, 10) * 1024;
    }
  }
  return std::min(bytes, size_);
}

}  // namespace crossover::bench
