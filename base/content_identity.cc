#include "base/content_identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/interrupt.h"

namespace crossover {
namespace {

/// Eight lanes of 64 bits, so that no multiplication waits for the one before it. Each step maps a
/// lane one to one for a given word, and a word one to one for a given lane: two contents of equal
/// length that differ in one word always differ in the end.
class Hash {
 public:
  static constexpr size_t kBlock = 64;

  /// Whole blocks, but for the last call.
  void Add(std::span<const std::byte> bytes) {
    size_ += bytes.size();
    for (; bytes.size() >= kBlock; bytes = bytes.subspan(kBlock)) AddBlock(bytes.data());
    if (bytes.empty()) return;
    std::array<std::byte, kBlock> last{};
    std::copy(bytes.begin(), bytes.end(), last.begin());
    AddBlock(last.data());
  }

  std::string Text() const {
    uint64_t all = Mix(size_);
    for (const uint64_t lane : lanes_) all = Mix(std::rotl(all, 23) ^ lane);
    return fmt::format("{:016x}", all);
  }

 private:
  static constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio, odd

  void AddBlock(const std::byte* block) {
    std::array<uint64_t, 8> words;
    std::memcpy(words.data(), block, kBlock);
    for (size_t i = 0; i < words.size(); ++i) {
      lanes_[i] = (std::rotl(lanes_[i], 29) ^ words[i]) * kFactor;
      // The product's top bit hangs on one bit of the word alone, which one of the next block's
      // could undo.
      lanes_[i] ^= lanes_[i] >> 32;
    }
  }

  /// The finaliser of MurmurHash3: every bit of the result hangs on every bit of x.
  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
    return x ^ (x >> 33);
  }

  std::array<uint64_t, 8> lanes_{1, 2, 3, 4, 5, 6, 7, 8};
  uint64_t size_ = 0;
};

constexpr size_t kPiece = size_t{1} << 18;  // stays in the second cache between reading and hashing
static_assert(kPiece % Hash::kBlock == 0);

}  // namespace

std::string ContentIdentity(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) ThrowErrno("cannot read", path);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kIo, fmt::format("{} is no regular file: what it holds cannot be told "
                                            "before it is read; copy it to one first",
                                            path.string()));
  }
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  Hash hash;
  std::vector<std::byte> piece(kPiece);
  for (uint64_t done = 0;; done += piece.size()) {
    const size_t n = ReadAt(file.get(), piece, done, path);
    hash.Add(std::span(piece).first(n));
    if (n < piece.size()) return hash.Text();
    ThrowIfInterrupted();
  }
}

std::string ContentIdentity(std::span<const std::byte> bytes) {
  Hash hash;
  hash.Add(bytes);
  return hash.Text();
}

std::string FileStamp(std::span<const std::filesystem::path> paths) {
  std::string text;
  for (const std::filesystem::path& path : paths) {
    struct stat s {};
    if (stat(path.c_str(), &s) != 0) {
      text += "missing\n";
      continue;
    }
    text += fmt::format("{} {} {} {}.{} {}.{}\n", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec,
                        s.st_mtim.tv_nsec, s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
  }
  return text;
}

}  // namespace crossover
