// A file that exists under its name only once it is whole, and the reading of whole files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "base/output_place.h"
#include "base/unfinished_files.h"

namespace crossover {

/// What stands at the path, links followed, decides:
///
/// - nothing, or a regular file: the bytes go to a new file "NAME.tmp-RANDOM" beside it. Commit()
///   syncs it, gives it the old file's permissions (and its owner where that is allowed) and
///   renames it into its place; the destructor removes what was not committed. A link stays and
///   what it leads to is replaced. Other hard links keep the old content; access lists and extended
///   attributes are lost.
/// - a regular file that can be written, in a folder that cannot, or that cannot be renamed over (a
///   single file mounted into a container): the bytes go to a file without a name in the folder for
///   temporary files, and Commit() copies them into the old file. If the process dies while that
///   lasts, the file is half written, which cannot happen otherwise.
/// - a device, a FIFO, a stream of this process's (/dev/stdout, /dev/fd/3): written straight
///   through, so that readers have the bytes at once and nothing is taken back. The constructor
///   waits for a FIFO's reader.
/// - a folder, a socket, links in a circle, a file that may not be written: refused.
///
/// All failures (no space, no permission) throw Error(kIo) with the name. The bytes are written in
/// order, and never again: what a writer puts into them must not have to be changed later.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void Write(std::span<const std::byte> bytes);
  void Write(std::string_view text);
  /// Pads with zero bytes to the next multiple of `alignment` of the file's length.
  void Align(uint64_t alignment);
  uint64_t size() const { return size_; }
  void Commit();

 private:
  void OpenTemporary();
  void OpenInPlace();
  bool MoveIntoPlace();
  void CopyIntoPlace();
  void RemoveTemporary();

  std::filesystem::path path_;
  OutputPlace place_;
  Descriptor file_;        // what Write writes to
  Descriptor in_place_;    // the old file, if it is to be written over
  std::string temporary_;  // name in place_.folder; empty if it has none
  UnfinishedFile unfinished_;
  uint64_t size_ = 0;
};

/// Error(kIo) if the disk that an output will be on has less than `bytes` left, or if nothing can
/// be written there: reports it now rather than in ten minutes. Write errors still count: quotas
/// and other programs have their say.
void RequireSpace(const std::filesystem::path& path, uint64_t bytes);

/// Writes a whole text file through OutputFile.
void WriteFile(const std::filesystem::path& path, std::string_view text);

/// Reads a whole file; a FIFO or another stream to its end, which may take 1 GiB at most (some
/// devices have none). Error(kNotFound or kIo) with the name; Error(kInterrupted) where Ctrl-C ends
/// the wait for a FIFO's writer; Error(kCorruptFile) for a Git LFS pointer.
std::string ReadFile(const std::filesystem::path& path);

}  // namespace crossover
