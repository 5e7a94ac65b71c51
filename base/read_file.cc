#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/file_kind.h"
#include "base/interrupt.h"
#include "base/output_file.h"

namespace crossover {
namespace {

constexpr size_t kLongestStream = size_t{1} << 30;
constexpr int kLookAgainMilliseconds = 100;

[[noreturn]] void Fail(const std::filesystem::path& path, const char* what) {
  throw Error(ErrorCode::kNotFound, fmt::format("cannot open {}: {}", path.string(), what));
}

/// A pipe that nobody has written to yet is not at its end. With nothing to read, a read would not
/// wait, for the descriptor does not block: so that Ctrl-C ends the wait.
void WaitForBytes(int fd) {
  pollfd polled{fd, POLLIN, 0};
  while (poll(&polled, 1, kLookAgainMilliseconds) == 0 || (polled.revents == 0)) {
    ThrowIfInterrupted();
  }
}

std::string ReadStream(int fd, const std::filesystem::path& path) {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    WaitForBytes(fd);
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n == 0) return text;
    if (n > 0) {
      text.append(buffer.data(), static_cast<size_t>(n));
    } else if (errno != EINTR && errno != EAGAIN) {
      ThrowErrno("cannot read", path);
    }
    if (text.size() > kLongestStream) {
      throw Error(ErrorCode::kIo, fmt::format("{} does not end; gave up after {} GiB",
                                              path.string(), kLongestStream >> 30));
    }
  }
}

}  // namespace

std::string ReadFile(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) Fail(path, std::strerror(errno));
  struct stat status {};
  if (fstat(file.get(), &status) != 0) ThrowErrno("cannot read", path);
  if (S_ISDIR(status.st_mode)) Fail(path, "it is a folder; name a file");
  std::string text =
      S_ISREG(status.st_mode) ? ReadAll(file.get(), path) : ReadStream(file.get(), path);
  CheckIsNoPointer(text, path.string());
  return text;
}

}  // namespace crossover
