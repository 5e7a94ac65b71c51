// A file mapped read-only, with page-fault-free loading into memory as the other choice.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace crossover::engine {

/// kMmap: maps the file; pages come in on first touch. kRam: reads it into huge pages by all
/// threads.
enum class LoadMode { kMmap, kRam };

class MappedFile {
 public:
  /// Error(kNotFound, kIo, kOutOfMemory) with the name. An empty file has an empty span.
  static std::shared_ptr<const MappedFile> Open(const std::filesystem::path& path,
                                                LoadMode mode = LoadMode::kMmap);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }
  LoadMode mode() const { return mode_; }
  /// Tells the kernel that [offset, offset + size) was read once and can be dropped (streaming).
  void Forget(size_t offset, size_t size) const;

 private:
  MappedFile() = default;

  std::span<const std::byte> bytes_;
  std::string path_;
  LoadMode mode_ = LoadMode::kMmap;
};

}  // namespace crossover::engine
