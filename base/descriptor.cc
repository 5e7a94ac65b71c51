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

std::string ReadAll(int fd, const std::filesystem::path& name) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (n == 0) return text;
    if (n > 0) {
      text.append(buffer.data(), static_cast<size_t>(n));
    } else if (errno != EINTR) {
      ThrowErrno("cannot read", name);
    }
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
