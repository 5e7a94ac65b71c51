#include "base/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>

#include "base/error.h"

namespace crossover {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Descriptor::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void ThrowErrno(std::string_view what, const std::filesystem::path& path) {
  const int code = errno;
  throw Error(ErrorCode::kIo, fmt::format("{} {}: {}", what, path.string(), std::strerror(code)));
}

void WriteAll(int fd, std::span<const std::byte> bytes, const std::filesystem::path& name) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {  // a pipe that another process made so
      pollfd polled{fd, POLLOUT, 0};
      poll(&polled, 1, -1);
    } else if (errno == EPIPE) {
      throw Error(ErrorCode::kIo,
                  fmt::format("cannot write {}: whoever was reading it has gone", name.string()));
    } else if (errno != EINTR) {
      ThrowErrno("cannot write", name);
    }
  }
}

size_t ReadAt(int fd, std::span<std::byte> to, uint64_t offset, const std::filesystem::path& name) {
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t n =
        pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (n == 0) break;
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      ThrowErrno("cannot read", name);
    }
  }
  return done;
}

std::string ReadAll(int fd, const std::filesystem::path& name) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const size_t n = ReadAt(fd, std::as_writable_bytes(std::span(buffer)), text.size(), name);
    text.append(buffer.data(), n);
    if (n < buffer.size()) return text;
  }
}

void Sync(int fd, const std::filesystem::path& name, int (*how)(int)) {
  while (how(fd) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL || errno == ENOTSUP || errno == ENOSYS || errno == EROFS) return;
    ThrowErrno("cannot sync", name);
  }
}

std::string RandomName() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) {
    std::random_device source;
    number = (uint64_t{source()} << 32) | source();
  }
  return fmt::format("{:016x}", number);
}

bool OpenStandardStreams() {
  const auto is_open = [](int fd) { return fcntl(fd, F_GETFD) != -1; };
  while (!is_open(STDIN_FILENO) || !is_open(STDOUT_FILENO) || !is_open(STDERR_FILENO)) {
    // The lowest number that is free.
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    // As the streams are that a shell opens: children inherit them.
    fcntl(fd, F_SETFD, 0);
  }
  return true;
}

}  // namespace crossover
