// The files that this process is making, for whoever ends it without going back through the
// destructors that would remove them: a signal's handler, a library that calls exit.
#pragma once

#include <string_view>

namespace crossover {

/// Lists a file while the object lives. `folder` must stay open as long. Beyond 64 files at a time,
/// and of names longer than a file system has them, none is listed.
class UnfinishedFile {
 public:
  UnfinishedFile() = default;
  UnfinishedFile(int folder, std::string_view name);
  ~UnfinishedFile() { Forget(); }
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(UnfinishedFile&& other) noexcept;

  /// It is whole, or gone.
  void Forget();

 private:
  int slot_ = -1;
};

/// Deletes them all. May be called in a signal handler.
void RemoveUnfinishedFiles();

}  // namespace crossover
