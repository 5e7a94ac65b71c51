// A file that exists under its name only once it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace crossover {

/// Writes to "NAME.tmp-PID" beside the target; Commit() syncs and renames it, the destructor
/// removes what was not committed. All failures (no space, no permission) throw Error(kIo) with the
/// name.
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
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

/// Error(kIo) if the disk that `path` is on has less than `bytes` left: tells of a full disk now
/// rather than in ten minutes. Write errors still count: quotas and other programs have their say.
void RequireSpace(const std::filesystem::path& path, uint64_t bytes);

/// Writes a whole text file through OutputFile.
void WriteFile(const std::filesystem::path& path, std::string_view text);

/// Reads a whole file; Error(kNotFound or kIo) with the name.
std::string ReadFile(const std::filesystem::path& path);

}  // namespace crossover
