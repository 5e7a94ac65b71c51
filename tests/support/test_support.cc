#include "tests/support/test_support.h"

#include <unistd.h>

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

namespace crossover::test {
namespace {

std::optional<std::string>& PendingSkip() {
  static std::optional<std::string> pending;
  return pending;
}

}  // namespace

void Skip(const std::string& reason) { PendingSkip() = reason; }

bool TakeSkip(std::string& reason) {
  if (!PendingSkip()) return false;
  reason = *std::exchange(PendingSkip(), std::nullopt);
  return true;
}

std::filesystem::path SourceRoot() {
  // meson test sets it; by hand, tests are run from inside the tree.
  if (const char* root = std::getenv("CROSSOVER_SOURCE_ROOT")) return root;
  for (auto path = std::filesystem::current_path();; path = path.parent_path()) {
    if (std::filesystem::exists(path / "meson_options.txt")) return path;
    if (path == path.parent_path()) return std::filesystem::current_path();
  }
}

std::optional<std::filesystem::path> SharedFile(const std::string& relative) {
  const auto path = SourceRoot().parent_path() / "shared" / relative;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "crossover-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace crossover::test
