// An open file of the operating system's that closes itself, and what is done with one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace crossover {

/// Owns a file descriptor; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_;
};

/// Error(kIo) "WHAT PATH: what errno says".
[[noreturn]] void ThrowErrno(std::string_view what, const std::filesystem::path& path);

/// All of `bytes`, however many calls that takes; waits where the descriptor does not block.
/// Error(kIo); that a reader has gone is said as such.
void WriteAll(int fd, std::span<const std::byte> bytes, const std::filesystem::path& name);

/// Fills `to` with what a regular file holds from `offset` on, however many calls that takes,
/// wherever the descriptor stands. Returns how many bytes those are: fewer only at the file's end.
/// Error(kIo).
size_t ReadAt(int fd, std::span<std::byte> to, uint64_t offset, const std::filesystem::path& name);

/// A regular file from its beginning to its end, wherever the descriptor stands. Error(kIo).
std::string ReadAll(int fd, const std::filesystem::path& name);

/// To the disk; what keeps nothing on one is no error. Error(kIo). `how`: fsync or fdatasync.
void Sync(int fd, const std::filesystem::path& name, int (*how)(int));

/// 16 hex digits that nobody can foresee.
std::string RandomName();

/// Opens /dev/null in the place of standard input, output and error where these are closed: the
/// next file that is opened would become one of them, and what is meant for people would land in
/// it. To be called before all else. False if that cannot be done.
bool OpenStandardStreams();

}  // namespace crossover
