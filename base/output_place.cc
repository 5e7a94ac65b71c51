#include "base/output_place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <climits>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as the kernel has it
constexpr auto kLookAgain = std::chrono::milliseconds(50);

Descriptor OpenFolder(int from, const fs::path& folder, const fs::path& path) {
  const char* name = folder.empty() ? "." : folder.c_str();
  Descriptor opened(openat(from, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened) ThrowErrno("cannot create", path);
  return opened;
}

/// Links there are no texts: they lead to what a process has open, name or no name.
bool IsInProc(int folder) {
  struct statfs system {};
  return fstatfs(folder, &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

fs::path ReadLink(const OutputPlace& place, const fs::path& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t length =
      readlinkat(place.folder.get(), place.name.c_str(), target.data(), target.size());
  if (length < 0) ThrowErrno("cannot follow the link", path);
  return std::string(target.data(), static_cast<size_t>(length));
}

/// N of ".../fd/N" if this process has the same thing open as N.
std::optional<int> OwnDescriptor(const OutputPlace& place) {
  int number = -1;
  const char* end = place.name.data() + place.name.size();
  const auto [stop, error] = std::from_chars(place.name.data(), end, number);
  if (error != std::errc() || stop != end || number < 0) return std::nullopt;
  struct stat own {};
  if (fstat(number, &own) != 0) return std::nullopt;
  const bool same = own.st_dev == place.status.st_dev && own.st_ino == place.status.st_ino;
  return same ? std::optional(number) : std::nullopt;
}

[[noreturn]] void Refuse(const fs::path& path, const char* what) {
  throw Error(ErrorCode::kIo, fmt::format("{} is {}; name a file", path.string(), what));
}

void FindProcLink(OutputPlace& place, const fs::path& path) {
  if (fstatat(place.folder.get(), place.name.c_str(), &place.status, 0) != 0) {
    ThrowErrno("cannot write", path);
  }
  if (S_ISDIR(place.status.st_mode)) Refuse(path, "a folder");
  place.kind = OutputPlace::Kind::kStream;
  place.own_descriptor = OwnDescriptor(place).value_or(-1);
}

/// Sets what stands at the place itself; true if that is a link to be followed.
bool Look(OutputPlace& place, const fs::path& path) {
  if (fstatat(place.folder.get(), place.name.c_str(), &place.status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) ThrowErrno("cannot write", path);
    place.kind = OutputPlace::Kind::kNothing;
    return false;
  }
  const mode_t mode = place.status.st_mode;
  if (S_ISLNK(mode)) {
    place.through_link = true;
    if (!IsInProc(place.folder.get())) return true;
    FindProcLink(place, path);
    return false;
  }
  if (S_ISDIR(mode)) Refuse(path, "a folder");
  if (S_ISSOCK(mode)) Refuse(path, "a socket");
  place.kind = S_ISREG(mode) ? OutputPlace::Kind::kFile : OutputPlace::Kind::kStream;
  return false;
}

}  // namespace

OutputPlace FindOutput(const fs::path& path) {
  if (path.empty()) throw Error(ErrorCode::kIo, "an output has no name; name a file");
  OutputPlace place;
  fs::path rest = path;
  for (int links = 0; links <= kMostLinks; ++links) {
    if (!rest.has_filename()) Refuse(path, "the name of a folder");
    // A relative link starts at the folder that it stands in.
    const int from = place.folder ? place.folder.get() : AT_FDCWD;
    place.folder = OpenFolder(from, rest.parent_path(), path);
    place.name = rest.filename().string();
    if (!Look(place, path)) return place;
    rest = ReadLink(place, path);
  }
  throw Error(ErrorCode::kIo,
              fmt::format("{}: too many links follow each other; name a file", path.string()));
}

Descriptor OpenStream(const OutputPlace& place, const fs::path& path) {
  if (place.own_descriptor >= 0) {
    const int flags = fcntl(place.own_descriptor, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY) errno = EBADF;
    const bool writable = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
    Descriptor own(writable ? fcntl(place.own_descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1);
    if (!own) ThrowErrno("cannot write", path);
    return own;
  }
  // What another process has open is reached by its link alone; its file grows at its end.
  const int follow = place.through_link && IsInProc(place.folder.get()) ? O_APPEND : O_NOFOLLOW;
  for (;;) {
    // Without O_NONBLOCK, nothing would end the wait for a reader.
    Descriptor stream(openat(place.folder.get(), place.name.c_str(),
                             O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | follow));
    if (stream) {
      fcntl(stream.get(), F_SETFL, fcntl(stream.get(), F_GETFL) & ~O_NONBLOCK);
      return stream;
    }
    const bool no_reader = errno == ENXIO && S_ISFIFO(place.status.st_mode);
    if (!no_reader && errno != EINTR) ThrowErrno("cannot open", path);
    ThrowIfInterrupted();
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace crossover
