#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/record.h"

namespace crossover::bench {
namespace {

[[noreturn]] void ThrowErrno(std::string_view what, const std::filesystem::path& path) {
  const int code = errno;
  throw Error(ErrorCode::kIo,
              fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(code)));
}

struct Parsed {
  std::vector<CellRecord> records;
  size_t whole_bytes = 0;  // up to where every line is a record
};

/// A line without its newline at the end of the file is what a crash left, whatever it says.
Parsed ParseLines(std::string_view text, const std::filesystem::path& path) {
  Parsed parsed;
  for (size_t number = 1; parsed.whole_bytes < text.size(); ++number) {
    const size_t newline = text.find('\n', parsed.whole_bytes);
    if (newline == std::string_view::npos) break;
    const std::string_view line = text.substr(parsed.whole_bytes, newline - parsed.whole_bytes);
    try {
      if (!line.empty()) parsed.records.push_back(nlohmann::json::parse(line).get<CellRecord>());
    } catch (const nlohmann::json::exception& error) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("{}:{}: no record of a study ({}); remove the line or the file",
                              path.string(), number, error.what()));
    }
    parsed.whole_bytes = newline + 1;
  }
  return parsed;
}

}  // namespace

ResultsFile::ResultsFile(const std::filesystem::path& path) : path_(path) {
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) ThrowErrno("open", path);
  try {
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) ThrowErrno("lock", path);
      throw Error(ErrorCode::kIo,
                  fmt::format("{} is being written by another study", path.string()));
    }
    Parsed parsed = ParseLines(ReadFile(path), path);
    if (ftruncate(fd_, static_cast<off_t>(parsed.whole_bytes)) != 0) ThrowErrno("truncate", path);
    records_ = std::move(parsed.records);
  } catch (...) {
    close(fd_);
    throw;
  }
}

ResultsFile::~ResultsFile() { close(fd_); }

bool ResultsFile::Finished(const std::string& key) const {
  return std::any_of(records_.begin(), records_.end(),
                     [&](const CellRecord& record) { return record.ok() && record.key == key; });
}

void ResultsFile::Append(const CellRecord& record) {
  // A child's last words may be cut inside a character.
  const std::string line =
      nlohmann::json(record).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  const ssize_t written = write(fd_, line.data(), line.size());
  if (written < 0) ThrowErrno("write", path_);
  if (static_cast<size_t>(written) != line.size()) {
    throw Error(ErrorCode::kIo, fmt::format("cannot write {}: no space left", path_.string()));
  }
  if (fdatasync(fd_) != 0 && errno != EINVAL) ThrowErrno("sync", path_);
  records_.push_back(record);
}

std::vector<CellRecord> ReadRecords(const std::filesystem::path& path) {
  return ParseLines(ReadFile(path), path).records;
}

}  // namespace crossover::bench
