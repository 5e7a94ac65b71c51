// A file of lines that only ever grows, so that what was finished before a kill or a power cut is
// there afterwards.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.h"

namespace crossover {

class LineJournal {
 public:
  /// Creates or opens it, where links end; writes nothing before the first Append. A stream
  /// (/dev/stdout, a FIFO) is written to alone: it has no lines to go on with and is not locked.
  /// Error(kIo), also if another process has it open.
  explicit LineJournal(const std::filesystem::path& path);

  /// The whole lines that were there when it was opened, without their ends.
  std::vector<std::string> TakeLines() { return std::move(lines_); }

  /// What follows the last line's end: what a kill left of a line. Append drops it.
  const std::string& rest() const { return rest_; }

  enum class Durable { kAgainstKill, kAgainstPowerCut };
  /// One write of one whole line (`line` has no end of its own). kAgainstPowerCut: on the disk when
  /// it returns. Error(kIo).
  void Append(std::string_view line, Durable durable);

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  Descriptor file_;
  std::vector<std::string> lines_;
  std::string rest_;
  size_t whole_bytes_ = 0;
};

/// The whole lines of a text: what follows the last line's end is left out.
std::vector<std::string> WholeLines(std::string_view text);

}  // namespace crossover
