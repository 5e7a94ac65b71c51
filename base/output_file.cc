#include "base/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/error.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kNewFile = 0666;   // but for the umask
constexpr mode_t kPrivate = 0600;   // until it gets the old file's permissions
constexpr int kTries = 100;         // at a name that is free
constexpr size_t kPiece = 1 << 18;  // of a copy

/// A file without a name.
Descriptor OpenNameless(const fs::path& path) {
  const std::string folder = fs::temp_directory_path();
  Descriptor file(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kPrivate));
  if (file) return file;
  std::string name = folder + "/crossover-XXXXXX";
  file = Descriptor(mkostemp(name.data(), O_CLOEXEC));
  if (!file) ThrowErrno("cannot make a temporary file for", path);
  unlink(name.c_str());
  return file;
}

/// Whether a file that can be written may still stand in the way of a rename, or its folder be
/// closed to new names.
bool IsOnlyTheFolder(int code) {
  return code == EACCES || code == EPERM || code == EROFS || code == EBUSY;
}

bool IsProtected(const OutputPlace& place) {
  return faccessat(place.folder.get(), place.name.c_str(), W_OK, AT_EACCESS) != 0 &&
         errno == EACCES;
}

void SyncFolder(int folder, const fs::path& path) {
  const Descriptor readable(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable) Sync(readable.get(), path, fsync);
}

}  // namespace

OutputFile::OutputFile(fs::path path) : path_(std::move(path)), place_(FindOutput(path_)) {
  if (place_.kind == OutputPlace::Kind::kStream) {
    std::fflush(stdout);  // what was printed before comes before
    file_ = OpenStream(place_, path_);
    return;
  }
  // A rename would not ask.
  if (place_.kind == OutputPlace::Kind::kFile && IsProtected(place_)) {
    ThrowErrno("cannot write", path_);
  }
  OpenTemporary();
}

OutputFile::~OutputFile() { RemoveTemporary(); }

void OutputFile::OpenTemporary() {
  const bool replaces = place_.kind == OutputPlace::Kind::kFile;
  std::string begin = place_.name;
  for (int tries = 0; tries < kTries; ++tries) {
    temporary_ = begin + ".tmp-" + RandomName();
    file_ = Descriptor(openat(place_.folder.get(), temporary_.c_str(),
                              O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                              replaces ? kPrivate : kNewFile));
    if (file_) {
      unfinished_ = UnfinishedFile(place_.folder.get(), temporary_);
      return;
    }
    if (errno == ENAMETOOLONG && begin.size() > 16) {
      begin = "crossover";
    } else if (errno != EEXIST) {
      break;
    }
  }
  temporary_.clear();
  if (!replaces || !IsOnlyTheFolder(errno)) ThrowErrno("cannot create", path_);
  OpenInPlace();
  file_ = OpenNameless(path_);
}

void OutputFile::OpenInPlace() {
  in_place_ = Descriptor(
      openat(place_.folder.get(), place_.name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!in_place_) ThrowErrno("cannot write", path_);
}

void OutputFile::Write(std::span<const std::byte> bytes) {
  WriteAll(file_.get(), bytes, path_);
  size_ += bytes.size();
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
  if (place_.kind == OutputPlace::Kind::kStream) return file_.Close();
  if (!in_place_ && !MoveIntoPlace()) {
    const bool replaces = place_.kind == OutputPlace::Kind::kFile;
    if (!replaces || !IsOnlyTheFolder(errno)) ThrowErrno("cannot rename to", path_);
    OpenInPlace();
  }
  if (in_place_) CopyIntoPlace();
  RemoveTemporary();
  file_.Close();
}

bool OutputFile::MoveIntoPlace() {
  if (place_.kind == OutputPlace::Kind::kFile) {
    const struct stat& old = place_.status;
    // Not everyone may give files away. Where that fails the group may still be kept.
    if (fchown(file_.get(), old.st_uid, old.st_gid) != 0) {
      (void)!fchown(file_.get(), static_cast<uid_t>(-1), old.st_gid);
    }
    fchmod(file_.get(), old.st_mode & 0777);
  }
  Sync(file_.get(), path_, fsync);
  const int folder = place_.folder.get();
  if (renameat(folder, temporary_.c_str(), folder, place_.name.c_str()) != 0) return false;
  temporary_.clear();
  unfinished_.Forget();
  SyncFolder(folder, path_);
  return true;
}

void OutputFile::CopyIntoPlace() {
  if (ftruncate(in_place_.get(), 0) != 0) ThrowErrno("cannot write", path_);
  const fs::path source = fmt::format("the temporary file of {}", path_.string());
  std::vector<std::byte> piece(kPiece);
  for (uint64_t done = 0; done < size_; done += piece.size()) {
    const auto next = std::span(piece).first(std::min<uint64_t>(piece.size(), size_ - done));
    if (ReadAt(file_.get(), next, done, source) < next.size()) {
      errno = EIO;  // it lost its end
      ThrowErrno("cannot read", source);
    }
    WriteAll(in_place_.get(), next, path_);
  }
  Sync(in_place_.get(), path_, fsync);
  in_place_.Close();
}

void OutputFile::RemoveTemporary() {
  if (!temporary_.empty()) unlinkat(place_.folder.get(), temporary_.c_str(), 0);
  temporary_.clear();
  unfinished_.Forget();
}

void RequireSpace(const fs::path& path, uint64_t bytes) {
  const OutputPlace place = FindOutput(path);
  if (place.kind == OutputPlace::Kind::kStream) return;
  struct statvfs system {};
  if (fstatvfs(place.folder.get(), &system) != 0) return;
  const uint64_t left = uint64_t{system.f_bavail} * uint64_t{system.f_frsize};
  if (left < bytes) {
    throw Error(ErrorCode::kIo,
                fmt::format("{}: needs {} bytes, but the disk has {} left; free some or write "
                            "elsewhere",
                            path.string(), bytes, left));
  }
}

void WriteFile(const fs::path& path, std::string_view text) {
  OutputFile file(path);
  file.Write(text);
  file.Commit();
}

}  // namespace crossover
