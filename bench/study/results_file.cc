#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/output_place.h"
#include "base/visible_text.h"
#include "bench/study/record.h"

namespace crossover::bench {
namespace {

struct Parsed {
  std::vector<CellRecord> records;
  size_t whole_bytes = 0;  // up to where every line is a record
};

/// A stranger's file may name anything anyhow; what its texts say is shown, on pages, in tables and
/// in CSV, so none of them may hold more than one line of visible characters.
void MakeVisible(nlohmann::json& value) {
  if (value.is_string()) value = VisibleText(value.get_ref<const std::string&>());
  if (!value.is_structured()) return;
  for (nlohmann::json& element : value) MakeVisible(element);  // as deep as ParseJson lets it be
}

/// A line without its newline at the end of the file is what a crash left, or another process has
/// not written yet, whatever it says. `number`: the first line's.
Parsed ParseLines(std::string_view text, const std::filesystem::path& path, size_t number = 1) {
  Parsed parsed;
  for (; parsed.whole_bytes < text.size(); ++number) {
    const size_t newline = text.find('\n', parsed.whole_bytes);
    if (newline == std::string_view::npos) break;
    const std::string_view line = text.substr(parsed.whole_bytes, newline - parsed.whole_bytes);
    try {
      const JsonSource source{.name = path.string(),
                              .remedy = "no record of a study; remove the line or the file",
                              .line = number};
      if (!line.empty()) {
        nlohmann::json record = ParseJson(line, source);
        MakeVisible(record);
        parsed.records.push_back(record.get<CellRecord>());
      }
    } catch (const nlohmann::json::exception& error) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("{}:{}: no record of a study ({}); remove the line or the file",
                              path.string(), number, error.what()));
    }
    parsed.whole_bytes = newline + 1;
  }
  return parsed;
}

/// Whether a last line without its end can be what a crash left of a record: else it is not ours to
/// cut off. A disk that lost its power may have left zeros.
bool IsCutRecord(std::string_view rest) {
  constexpr std::string_view kBegin = "{\"cell\":";
  if (rest.find_first_not_of('\0') == std::string_view::npos) return true;
  const size_t common = std::min(rest.size(), kBegin.size());
  return rest.substr(0, common) == kBegin.substr(0, common);
}

// Of locks: bytes that no results file will reach.
constexpr off_t kLocks = off_t{1} << 61;
constexpr off_t kStudyLock = kLocks;      // held by every process that has the file open
constexpr off_t kWriteLock = kLocks + 1;  // while a line is appended
constexpr off_t kFirstCell = kLocks + 2;

constexpr auto kClearingUp = std::chrono::seconds(10);  // that the first of the ranks may take

}  // namespace

bool ResultsFile::Lock(short type, off_t place, bool wait) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = place;
  lock.l_len = 1;
  while (fcntl(file_.get(), wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) != 0) {
    if (errno == EINTR) continue;
    if (!wait && (errno == EAGAIN || errno == EACCES)) return false;
    ThrowErrno("cannot lock", path_);
  }
  return true;
}

bool ResultsFile::Open() {
  const OutputPlace place = FindOutput(path_);
  const bool there = place.kind == OutputPlace::Kind::kFile;
  if (place.kind == OutputPlace::Kind::kStream || (!there && place.through_link)) {
    throw Error(ErrorCode::kIo,
                fmt::format("{} is no file that a study could go on with; move it away, or name "
                            "another folder",
                            path_.string()));
  }
  constexpr int kFlags = O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
  if (!there) {
    file_ =
        Descriptor(openat(place.folder.get(), place.name.c_str(), kFlags | O_CREAT | O_EXCL, 0666));
    if (file_) return false;
    if (errno != EEXIST) ThrowErrno("cannot create", path_);  // else another rank was faster
  }
  file_ = Descriptor(openat(place.folder.get(), place.name.c_str(), kFlags));
  if (!file_) ThrowErrno("cannot open", path_);
  return true;
}

bool ResultsFile::TakeStudyLock(Access access) {
  if (Lock(F_WRLCK, kStudyLock, false)) return true;
  const auto give_up = std::chrono::steady_clock::now() + kClearingUp;
  while (access == Access::kShared && std::chrono::steady_clock::now() < give_up) {
    if (Lock(F_RDLCK, kStudyLock, false)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw Error(ErrorCode::kIo, fmt::format("{} is being written by another study", path_.string()));
}

ResultsFile::ResultsFile(const std::filesystem::path& path, Access access, const First& first)
    : path_(path) {
  const bool was_there = Open();
  const bool alone = TakeStudyLock(access);
  Refresh();
  if (!alone) return;
  if (was_there && first) first(*this);
  if (access == Access::kShared) Lock(F_RDLCK, kStudyLock, false);
}

bool ResultsFile::Finished(const std::string& key) const {
  return std::any_of(records_.begin(), records_.end(),
                     [&](const CellRecord& record) { return record.ok() && record.key == key; });
}

void ResultsFile::Refresh() {
  struct stat status {};  // mostly nobody else has written
  if (fstat(file_.get(), &status) == 0 && static_cast<size_t>(status.st_size) <= read_bytes_)
    return;
  const std::string text = ReadAll(file_.get(), path_);
  if (text.size() <= read_bytes_) return;
  const std::string_view old = std::string_view(text).substr(0, read_bytes_);
  const auto lines = static_cast<size_t>(std::count(old.begin(), old.end(), '\n'));
  Parsed parsed = ParseLines(std::string_view(text).substr(read_bytes_), path_, lines + 1);
  read_bytes_ += parsed.whole_bytes;
  if (!IsCutRecord(std::string_view(text).substr(read_bytes_))) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: its last line is no record of a study; remove the line or the "
                            "file",
                            path_.string()));
  }
  std::move(parsed.records.begin(), parsed.records.end(), std::back_inserter(records_));
}

void ResultsFile::Append(const CellRecord& record) {
  // A child's last words may be cut inside a character.
  const std::string line = DumpJson(nlohmann::json(record)) + '\n';
  Lock(F_WRLCK, kWriteLock, true);
  Refresh();
  const auto end = static_cast<off_t>(read_bytes_);
  // What a writer that died left.
  if (ftruncate(file_.get(), end) != 0) ThrowErrno("cannot truncate", path_);
  try {
    WriteAll(file_.get(), std::as_bytes(std::span(line)), path_);
  } catch (...) {
    (void)!ftruncate(file_.get(), end);
    throw;
  }
  Sync(file_.get(), path_, fdatasync);
  Lock(F_UNLCK, kWriteLock, false);
  read_bytes_ += line.size();
  records_.push_back(record);
}

bool ResultsFile::Claim(size_t cell) {
  return Lock(F_WRLCK, kFirstCell + static_cast<off_t>(cell), false);
}

void ResultsFile::Release(size_t cell) {
  Lock(F_UNLCK, kFirstCell + static_cast<off_t>(cell), false);
}

std::vector<CellRecord> ReadRecords(const std::filesystem::path& path) {
  return ParseLines(ReadFile(path), path).records;
}

}  // namespace crossover::bench
