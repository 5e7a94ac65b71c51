#include "base/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace crossover {
namespace {

[[noreturn]] void ThrowErrno(std::string_view what, const std::filesystem::path& path) {
  const int code = errno;
  throw Error(ErrorCode::kIo, fmt::format("{} {}: {}", what, path.string(), std::strerror(code)));
}

}  // namespace

OutputFile::OutputFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(path_.string() + fmt::format(".tmp-{}", getpid())) {
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowErrno("cannot create", temporary_);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void OutputFile::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) ThrowErrno("cannot write", path_);
    bytes = bytes.subspan(static_cast<size_t>(n));
    size_ += static_cast<uint64_t>(n);
  }
}

void OutputFile::Write(std::string_view text) { Write(std::as_bytes(std::span(text))); }

void OutputFile::Align(uint64_t alignment) {
  constexpr std::array<std::byte, 64> kZeros{};
  uint64_t padding = (alignment - size_ % alignment) % alignment;
  while (padding > 0) {
    const uint64_t n = std::min<uint64_t>(padding, kZeros.size());
    Write(std::span(kZeros).first(n));
    padding -= n;
  }
}

void OutputFile::Commit() {
  if (fsync(fd_) != 0 && errno != EINVAL) ThrowErrno("cannot sync", path_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) ThrowErrno("cannot rename to", path_);
  close(std::exchange(fd_, -1));
}

void RequireSpace(const std::filesystem::path& path, uint64_t bytes) {
  std::error_code error;
  const auto parent = std::filesystem::absolute(path, error).parent_path();
  const auto space = std::filesystem::space(parent, error);
  if (!error && space.available < bytes) {
    throw Error(ErrorCode::kIo,
                fmt::format("{}: needs {} bytes, but the disk has {} left; free some or write "
                            "elsewhere",
                            path.string(), bytes, space.available));
  }
}

void WriteFile(const std::filesystem::path& path, std::string_view text) {
  OutputFile file(path);
  file.Write(text);
  file.Commit();
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path)) {
    throw Error(ErrorCode::kNotFound, fmt::format("cannot open {}", path.string()));
  }
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) throw Error(ErrorCode::kIo, fmt::format("cannot read {}", path.string()));
  return text;
}

}  // namespace crossover
