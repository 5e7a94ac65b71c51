#include "bench/study/cell_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/join_path.h"
#include "base/line_journal.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "crossover-models";
constexpr const char* kMarker = ".crossover-study";
constexpr std::string_view kTitle =
    "crossover study: files here that end with one of these keys are its own";
constexpr std::string_view kMade = "made ";
constexpr std::string_view kKept = "kept ";
constexpr size_t kKeyDigits = 16;
constexpr size_t kMostOfModel = 100;  // bytes; names of files end at 255

bool IsHex(std::string_view text) {
  return text.size() == kKeyDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Error(kIo): a folder that cannot be read is not taken for an empty one.
std::vector<std::string> Names(int folder, const fs::path& path) {
  // A descriptor of its own: closedir closes it.
  const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const auto close_it = [](DIR* stream) { closedir(stream); };
  const std::unique_ptr<DIR, decltype(close_it)> stream(fd < 0 ? nullptr : fdopendir(fd), close_it);
  if (!stream) ThrowErrno("cannot read", path);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

bool IsRegular(int folder, const std::string& name) {
  struct stat status {};
  return fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG(status.st_mode);
}

/// What a process that died left of the file of that ending: OutputFile's name.
bool IsTemporary(std::string_view name, std::string_view ending) {
  constexpr std::string_view kTemporary = ".tmp-";
  if (name.size() < kKeyDigits + kTemporary.size()) return false;
  const std::string_view random = name.substr(name.size() - kKeyDigits);
  name.remove_suffix(kKeyDigits);
  if (!IsHex(random) || !name.ends_with(kTemporary)) return false;
  name.remove_suffix(kTemporary.size());
  return name.ends_with(ending);
}

/// Whether a marker's text begins as this program's do. A process that died, or a full disk, may
/// have left a part of the title, behind which the next one begins a line of its own.
bool HasTitle(std::string_view text) {
  for (const std::string& line : WholeLines(text)) {
    if (line == kTitle) return true;
    if (!kTitle.starts_with(line)) return false;
  }
  return false;
}

std::string Ending(std::string_view key) { return fmt::format("-{}.gguf", key); }

}  // namespace

CellFolder::CellFolder(const fs::path& study) : path_(JoinPath(study, kFolder)) { Open(); }

void CellFolder::RefuseForeign() const {
  throw Error(ErrorCode::kIo,
              fmt::format("{} is no folder that this program made (which would hold its file {}): "
                          "move it away, or name another folder for the study",
                          path_.string(), kMarker));
}

// Who uses the folder shares its lock, so that nobody removes it meanwhile. Where a file system has
// no such locks, processes that share a study there may meet each other's removal.
bool CellFolder::Lock(int how) const {
  int status = 0;
  do status = flock(folder_.get(), how);
  while (status != 0 && errno == EINTR);
  return status == 0 || errno != EWOULDBLOCK;
}

bool CellFolder::OpenMarker() {
  // O_NONBLOCK: a FIFO must not hold us up before it is refused.
  marker_ = Descriptor(
      openat(folder_.get(), kMarker, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!marker_) {
    if (errno == ENOENT) return false;
    if (errno == ELOOP) RefuseForeign();
    ThrowErrno("cannot open", path_ / kMarker);
  }
  struct stat status {};
  if (fstat(marker_.get(), &status) != 0 || !S_ISREG(status.st_mode)) RefuseForeign();
  // Names before the text: who makes files writes the text first.
  const auto names = Names(folder_.get(), path_);
  const std::string text = ReadAll(marker_.get(), path_ / kMarker);
  if (HasTitle(text)) return true;
  // It was created and its process died; with files it is no such one.
  const bool begun = kTitle.starts_with(std::string_view(text).substr(0, text.find('\n')));
  if (!begun || names.size() > 1) RefuseForeign();
  return true;
}

bool CellFolder::Open() {
  folder_ = Descriptor(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder_) {
    if (errno == ENOENT) return false;
    if (errno == ELOOP || errno == ENOTDIR) RefuseForeign();
    ThrowErrno("cannot open", path_);
  }
  Lock(LOCK_SH);
  // What is there without a marker is foreign. Looked at first: others may just be making both.
  const bool empty = Names(folder_.get(), path_).empty();
  if (OpenMarker()) return true;
  if (!empty) RefuseForeign();
  return false;  // as good as not there: there is nothing in it that could be deleted
}

void CellFolder::CreateMarker() {
  marker_ = Descriptor(openat(folder_.get(), kMarker,
                              O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
}

void CellFolder::Make() {
  if (mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) ThrowErrno("cannot create", path_);
  if (Open() || !folder_) return;
  CreateMarker();
  // Another process of the study may have been faster, here or in removing the folder.
  if (!marker_ && errno != EEXIST && errno != ENOENT) {
    ThrowErrno("cannot create", path_ / kMarker);
  }
}

CellFolder::Marks CellFolder::ReadMarks() const {
  return marker_ ? MarksIn(ReadAll(marker_.get(), path_ / kMarker)) : Marks{};
}

CellFolder::Marks CellFolder::MarksIn(std::string_view marker) {
  Marks marks;
  for (const std::string& line : WholeLines(marker)) {
    const std::string_view text = line;
    const bool kept = text.starts_with(kKept);
    if (!kept && !text.starts_with(kMade)) continue;
    const std::string key(text.substr(kMade.size()));
    if (!IsHex(key)) continue;
    marks.begun.insert(key);
    if (kept) marks.kept.insert(key);
  }
  return marks;
}

std::set<std::string> CellFolder::Begun() const { return ReadMarks().begun; }

void CellFolder::Begin(const std::string& key, bool keep) {
  constexpr int kTries = 10;  // with other processes
  for (int tries = 0; tries < kTries; ++tries) {
    Make();
    struct stat here {};
    struct stat there {};
    const bool lasting = marker_ && fstat(marker_.get(), &here) == 0 &&
                         fstatat(folder_.get(), kMarker, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                         here.st_ino == there.st_ino && here.st_dev == there.st_dev;
    if (lasting) break;
  }
  if (!marker_) throw Error(ErrorCode::kIo, fmt::format("cannot create {}", path_.string()));
  const std::string text = ReadAll(marker_.get(), path_ / kMarker);
  const Marks marks = MarksIn(text);
  if (keep ? marks.kept.contains(key) : marks.begun.contains(key)) return;
  std::string lines;
  if (!text.empty() && text.back() != '\n') lines += '\n';  // behind a part of a line
  if (!HasTitle(text)) lines += fmt::format("{}\n", kTitle);
  lines += fmt::format("{}{}\n", keep ? kKept : kMade, key);
  WriteAll(marker_.get(), std::as_bytes(std::span(lines)), path_ / kMarker);
  Sync(marker_.get(), path_ / kMarker, fdatasync);
}

void CellFolder::Remove(const std::string& key) const try {
  const Marks marks = ReadMarks();
  if (!marks.begun.contains(key)) return;
  const std::string ending = Ending(key);
  const bool kept = marks.kept.contains(key);
  for (const std::string& name : Names(folder_.get(), path_)) {
    const bool whole = !kept && name.ends_with(ending);
    if (!whole && !IsTemporary(name, ending)) continue;
    if (IsRegular(folder_.get(), name)) unlinkat(folder_.get(), name.c_str(), 0);
  }
} catch (const Error&) {  // what cannot be read or deleted stays: a measurement is worth more
}

void CellFolder::RemoveIfEmpty() try {
  if (!marker_) return;
  // The last one to leave removes it. Two that held on to their share would both see the other.
  Lock(LOCK_UN);
  if (Lock(LOCK_EX | LOCK_NB)) RemoveAlone();
  Lock(LOCK_SH);
} catch (const Error&) {  // it stays, and the next call tries again
}

void CellFolder::RemoveAlone() {
  if (Names(folder_.get(), path_) != std::vector<std::string>{kMarker}) return;
  const std::string text = ReadAll(marker_.get(), path_ / kMarker);
  unlinkat(folder_.get(), kMarker, 0);
  if (rmdir(path_.c_str()) != 0) {  // something came in between: it is still our folder
    CreateMarker();
    if (marker_) WriteAll(marker_.get(), std::as_bytes(std::span(text)), path_ / kMarker);
    return;
  }
  marker_.Close();
}

std::string CellFileName(std::string_view model, std::string_view recipe, std::string_view key) {
  std::string name = fmt::format("{}-{}", model.substr(0, kMostOfModel), recipe);
  const auto is_plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+';
  };
  std::replace_if(
      name.begin(), name.end(), [&](char c) { return !is_plain(c); }, '_');
  return name + Ending(key);
}

}  // namespace crossover::bench
