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
  /// The size is taken once, here: another process that shortens a mapped file afterwards makes the
  /// kernel send SIGBUS on the lost pages, which no check of ours can prevent (kRam is immune). The
  /// program says so in a line (tools/last_words.h); who uses the library has to, by a handler.
  static std::shared_ptr<const MappedFile> Open(const std::filesystem::path& path,
                                                LoadMode mode = LoadMode::kMmap);
  /// A copy of bytes that stand in no file; `name` is what error messages call it.
  static std::shared_ptr<const MappedFile> FromMemory(std::span<const std::byte> bytes,
                                                      std::string name);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }
  LoadMode mode() const { return mode_; }
  /// Tells the kernel that [offset, offset + size) is about to be read, so that it starts fetching.
  void WillNeed(size_t offset, size_t size) const;
  /// Maps the pages of [offset, offset + size) in at once, reading what is not in memory: a call
  /// for all costs a fifth of a page fault each. Does nothing on systems that cannot, or where the
  /// file is larger than half the memory, so that its pages would push each other out.
  void Populate(size_t offset, size_t size) const;
  /// Tells the kernel that [offset, offset + size) was read once and can be dropped (streaming).
  /// The bytes stay readable: they come back from the file.
  void Forget(size_t offset, size_t size) const;

 private:
  MappedFile() = default;
  void MapFile(int fd, size_t size);
  void ReadIntoMemory(int fd, size_t size);

  std::span<const std::byte> bytes_;
  std::string path_;
  LoadMode mode_ = LoadMode::kMmap;
  void* mapping_ = nullptr;  // what munmap wants back; null: bytes_ is empty or in heap_
  size_t mapping_bytes_ = 0;
  struct AlignedDelete {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, AlignedDelete> heap_;
};

}  // namespace crossover::engine
