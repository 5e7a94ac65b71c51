#include "engine/files/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <omp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "base/descriptor.h"
#include "base/error.h"
#include "kernels/start_threads.h"

namespace crossover::engine {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Large enough that a read call costs nothing beside its copy, small enough to share out evenly.
constexpr size_t kReadChunk = size_t{8} << 20;

// Of bytes in memory, as packed matrices want it.
constexpr std::align_val_t kMemoryAlignment{64};

[[noreturn]] void Throw(ErrorCode code, const std::string& path, std::string_view what) {
  throw Error(code, fmt::format("{}: {}", path, what));
}

// 0, or the errno of what went wrong; ENODATA if the file ends early.
int ReadFully(int fd, std::byte* to, size_t size, size_t offset) {
  while (size > 0) {
    const ssize_t n = pread(fd, to, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENODATA;
    to += n;
    offset += static_cast<size_t>(n);
    size -= static_cast<size_t>(n);
  }
  return 0;
}

// madvise wants whole pages. Inwards, so that dropping never touches a neighbour's bytes.
std::pair<uintptr_t, uintptr_t> InnerPages(const std::byte* begin, size_t size) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(begin);
  return {(first + page - 1) / page * page, (first + size) / page * page};
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::Open(const std::filesystem::path& path,
                                                   LoadMode mode) {
  const std::string name = path.string();
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    const int code = errno;
    if (code == ENOENT) Throw(ErrorCode::kNotFound, name, "no such file");
    Throw(ErrorCode::kIo, name, fmt::format("cannot open: {}", std::strerror(code)));
  }
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) {
    Throw(ErrorCode::kIo, name, fmt::format("cannot stat: {}", std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) {
    Throw(ErrorCode::kIo, name,
          S_ISDIR(status.st_mode) ? "is a directory; name a file in it"
                                  : "is no regular file; copy it to one first");
  }

  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = name;
  file->mode_ = mode;
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return file;
  if (mode == LoadMode::kRam) {
    file->ReadIntoMemory(fd.get(), size);
  } else {
    file->MapFile(fd.get(), size);
  }
  return file;
}

std::shared_ptr<const MappedFile> MappedFile::FromMemory(std::span<const std::byte> bytes,
                                                         std::string name) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = std::move(name);
  file->mode_ = LoadMode::kRam;
  if (bytes.empty()) return file;
  // Exactly as long, so that tools see what is read behind the end.
  file->heap_.reset(static_cast<std::byte*>(::operator new(bytes.size(), kMemoryAlignment)));
  std::copy(bytes.begin(), bytes.end(), file->heap_.get());
  file->bytes_ = {file->heap_.get(), bytes.size()};
  return file;
}

void MappedFile::AlignedDelete::operator()(std::byte* p) const {
  ::operator delete(p, kMemoryAlignment);
}

MappedFile::~MappedFile() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

void MappedFile::MapFile(int fd, size_t size) {
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    const int code = errno;
    Throw(code == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kIo, path_,
          fmt::format("cannot map {} bytes: {}", size, std::strerror(code)));
  }
  mapping_ = address;
  mapping_bytes_ = size;
  bytes_ = {static_cast<const std::byte*>(address), size};
}

void MappedFile::ReadIntoMemory(int fd, size_t size) {
  // Room to start on a huge page: the kernel only backs whole, aligned ones.
  const size_t bytes = (size + kHugePage - 1) / kHugePage * kHugePage + kHugePage;
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    Throw(ErrorCode::kOutOfMemory, path_,
          fmt::format("no memory for {} bytes; use --load mmap, which needs none", size));
  }
  mapping_ = address;
  mapping_bytes_ = bytes;
  // Advice only: without transparent huge pages the load still works, with more TLB misses.
  madvise(address, bytes, MADV_HUGEPAGE);
  const auto start = (reinterpret_cast<uintptr_t>(address) + kHugePage - 1) / kHugePage * kHugePage;
  auto* to = reinterpret_cast<std::byte*>(start);

  // Each thread first-touches what it reads, which spreads the pages over the NUMA nodes.
  std::atomic<int> failure = 0;
  const size_t chunks = (size + kReadChunk - 1) / kReadChunk;
  const auto most = static_cast<size_t>(std::max(1, omp_get_max_threads()));
  const int threads = kernels::CanStartThreads(most) ? static_cast<int>(most) : 1;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t i = 0; i < chunks; ++i) {
    const size_t offset = i * kReadChunk;
    const int code = ReadFully(fd, to + offset, std::min(kReadChunk, size - offset), offset);
    if (code != 0) failure = code;
  }
  if (failure == ENODATA) Throw(ErrorCode::kIo, path_, "shrank while it was read; try again");
  if (failure != 0) {
    Throw(ErrorCode::kIo, path_, fmt::format("cannot read: {}", std::strerror(failure)));
  }
  bytes_ = {to, size};
}

void MappedFile::WillNeed(size_t offset, size_t size) const {
  if (mode_ != LoadMode::kMmap || offset >= bytes_.size()) return;
  const auto [first, last] =
      InnerPages(bytes_.data() + offset, std::min(size, bytes_.size() - offset));
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_WILLNEED);
}

void MappedFile::Populate(size_t offset, size_t size) const {
#ifdef MADV_POPULATE_READ  // Linux 5.14
  if (mode_ != LoadMode::kMmap || offset >= bytes_.size()) return;
  const auto memory =
      static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (bytes_.size() > memory / 2) return;
  const auto [first, last] =
      InnerPages(bytes_.data() + offset, std::min(size, bytes_.size() - offset));
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_POPULATE_READ);
#else
  static_cast<void>(offset);
  static_cast<void>(size);
#endif
}

void MappedFile::Forget(size_t offset, size_t size) const {
  // In memory of our own there is no file to bring the bytes back from.
  if (mode_ != LoadMode::kMmap || offset >= bytes_.size()) return;
  const auto [first, last] =
      InnerPages(bytes_.data() + offset, std::min(size, bytes_.size() - offset));
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace crossover::engine
