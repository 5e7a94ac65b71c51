// What the tests of all folders share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace crossover::test {

/// Marks the running test case as skipped, for example where the CPU lacks a unit. Return right
/// after.
void Skip(const std::string& reason);

/// The repository's root (models/, tests/data), found from the build.
std::filesystem::path SourceRoot();

/// A file under ../shared, or nothing where that folder is not there.
std::optional<std::filesystem::path> SharedFile(const std::string& relative);

inline bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline size_t CountLines(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// The smallest model of the repository.
inline std::string EmbeddedXs() { return (SourceRoot() / "models/reference-xs.gguf").string(); }

/// A directory of its own that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// For the reporter.
bool TakeSkip(std::string& reason);

}  // namespace crossover::test
