#include "base/line_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/output_file.h"

namespace crossover {
namespace {

[[noreturn]] void ThrowErrno(std::string_view what, const std::filesystem::path& path) {
  const int code = errno;
  throw Error(ErrorCode::kIo,
              fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(code)));
}

}  // namespace

std::vector<std::string> WholeLines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t end; (end = text.find('\n')) != std::string_view::npos;) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

LineJournal::LineJournal(const std::filesystem::path& path) : path_(path) {
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowErrno("open", path);
  try {
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) ThrowErrno("lock", path);
      throw Error(ErrorCode::kIo, fmt::format("{} is being written by another run", path.string()));
    }
    const std::string text = ReadFile(path);
    lines_ = WholeLines(text);
    const size_t last = text.rfind('\n');
    whole_bytes_ = last == std::string::npos ? 0 : last + 1;
    rest_ = text.substr(whole_bytes_);
  } catch (...) {
    close(fd_);
    throw;
  }
}

LineJournal::~LineJournal() { close(fd_); }

void LineJournal::Append(std::string_view line, Durable durable) {
  if (!rest_.empty() && ftruncate(fd_, static_cast<off_t>(whole_bytes_)) != 0) {
    ThrowErrno("truncate", path_);
  }
  rest_.clear();
  const std::string whole = std::string(line) + '\n';
  const ssize_t written = write(fd_, whole.data(), whole.size());
  if (written < 0) ThrowErrno("write", path_);
  if (static_cast<size_t>(written) != whole.size()) {
    throw Error(ErrorCode::kIo, fmt::format("cannot write {}: no space left", path_.string()));
  }
  if (durable == Durable::kAgainstPowerCut && fdatasync(fd_) != 0 && errno != EINVAL) {
    ThrowErrno("sync", path_);
  }
}

}  // namespace crossover
