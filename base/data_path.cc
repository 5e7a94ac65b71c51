#include "base/data_path.h"

#include <fmt/format.h>

#include <cstdlib>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "source_root.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;

}  // namespace

fs::path DataPath(const std::string& relative) {
  std::vector<fs::path> roots;
  if (const char* data = std::getenv("CROSSOVER_DATA")) roots.emplace_back(data);
  roots.push_back(ExecutablePath().parent_path().parent_path() / "share" / "crossover");
  roots.emplace_back(CROSSOVER_SOURCE_ROOT);
  std::string tried;
  for (const fs::path& root : roots) {
    std::error_code ignored;
    if (fs::exists(root / relative, ignored)) return root / relative;
    tried += (tried.empty() ? "" : ", ") + root.string();
  }
  throw Error(ErrorCode::kNotFound, fmt::format("{} is not under {}; CROSSOVER_DATA may name the "
                                                "folder that holds it",
                                                relative, tried));
}

fs::path ExecutablePath() {
  std::error_code failed;
  fs::path path = fs::read_symlink("/proc/self/exe", failed);
  if (failed) throw Error(ErrorCode::kIo, "cannot read /proc/self/exe: " + failed.message());
  return path;
}

fs::path RunningProgram() { return "/proc/self/exe"; }

}  // namespace crossover
