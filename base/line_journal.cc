#include "base/line_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <span>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/output_place.h"

namespace crossover {
std::vector<std::string> WholeLines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t end; (end = text.find('\n')) != std::string_view::npos;) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

LineJournal::LineJournal(const std::filesystem::path& path) : path_(path) {
  const OutputPlace place = FindOutput(path);
  if (place.kind == OutputPlace::Kind::kStream) {  // written to, not read back
    file_ = OpenStream(place, path);
    return;
  }
  file_ = Descriptor(openat(place.folder.get(), place.name.c_str(),
                            O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file_) ThrowErrno("cannot open", path);
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) ThrowErrno("cannot lock", path);
    throw Error(ErrorCode::kIo, fmt::format("{} is being written by another run", path.string()));
  }
  const std::string text = ReadAll(file_.get(), path);
  lines_ = WholeLines(text);
  const size_t last = text.rfind('\n');
  whole_bytes_ = last == std::string::npos ? 0 : last + 1;
  rest_ = text.substr(whole_bytes_);
}

void LineJournal::Append(std::string_view line, Durable durable) {
  if (!rest_.empty() && ftruncate(file_.get(), static_cast<off_t>(whole_bytes_)) != 0) {
    ThrowErrno("cannot truncate", path_);
  }
  rest_.clear();
  const std::string whole = std::string(line) + '\n';
  WriteAll(file_.get(), std::as_bytes(std::span(whole)), path_);
  if (durable == Durable::kAgainstPowerCut) Sync(file_.get(), path_, fdatasync);
}

}  // namespace crossover
