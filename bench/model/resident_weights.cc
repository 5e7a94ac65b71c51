#include "bench/model/resident_weights.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "engine/model/matrices.h"
#include "kernels/packed/pack.h"

namespace crossover::bench {
namespace {

// As float16 1.06, as bfloat16 and as float32 0.0115; as quantised values neither end of a range.
constexpr int kByte = 0x3C;
// A process may have 65530 mappings (vm.max_map_count); the others need some too.
constexpr size_t kMostMappings = 30000;

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

[[noreturn]] void Fail(const char* what) {
  throw Error(errno == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kUnsupported,
              fmt::format("weights that stay in a cache cannot be mapped: {}: {}", what,
                          std::strerror(errno)));
}

/// Closes a file descriptor with its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

ResidentWeights::ResidentWeights(size_t bytes, size_t piece) {
  piece = RoundUp(std::max(piece, bytes / kMostMappings), PageBytes());
  bytes = RoundUp(bytes, piece);
  const Descriptor file(memfd_create("crossover-resident", MFD_CLOEXEC));
  if (file.get() < 0) Fail("memfd_create");
  if (ftruncate(file.get(), static_cast<off_t>(piece)) != 0) Fail("ftruncate");
  void* all = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) Fail("mmap");
  data_ = static_cast<std::byte*>(all);
  bytes_ = bytes;
  for (size_t at = 0; at < bytes; at += piece) {
    if (mmap(data_ + at, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
             file.get(), 0) == MAP_FAILED) {
      const int problem = errno;
      munmap(all, bytes);
      errno = problem;
      Fail("mmap");
    }
  }
  std::memset(data_, kByte, piece);
}

ResidentWeights::~ResidentWeights() { munmap(data_, bytes_); }

engine::Weights ResidentWeights::Rebind(const engine::Weights& weights) const {
  engine::Weights bound = weights;
  ForEachMatrix(bound, [&](kernels::Matrix& matrix) { matrix.data = data_; });
  return bound;
}

ResidentPiece ChooseResidentPiece(const MachineInfo& machine) {
  const auto pages = [](uint64_t bytes) {
    return std::max<size_t>(bytes / PageBytes(), 1) * PageBytes();
  };
  if (const CacheInfo* l2 = machine.FindCache(2)) return {pages(l2->bytes / 4), "L2"};
  if (const CacheInfo* l1 = machine.FindCache(1)) return {pages(l1->bytes / 2), "L1"};
  constexpr size_t kEveryL1 = size_t{16} << 10;  // where the system tells of no cache
  return {pages(kEveryL1), "a cache"};
}

}  // namespace crossover::bench
