#include "engine/files/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>

#include "base/content_identity.h"
#include "base/error.h"
#include "engine/files/part_name.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kFolderFiles{".safetensors", ".json", ".jinja", ".model",
                                                       ".txt"};

std::vector<fs::path> FilesOfFolder(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string extension = it->path().extension().string();
    const bool known =
        std::find(kFolderFiles.begin(), kFolderFiles.end(), extension) != kFolderFiles.end();
    std::error_code none;
    if (known && it->is_regular_file(none)) files.push_back(it->path());  // links followed
  }
  if (failed) {
    throw Error(ErrorCode::kIo,
                fmt::format("cannot read {}: {}", folder.string(), failed.message()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<fs::path> ModelFiles(const fs::path& path) {
  if (fs::is_directory(path)) return FilesOfFolder(path);
  if (!fs::exists(path)) {
    throw Error(ErrorCode::kNotFound, fmt::format("{}: no such file", path.string()));
  }
  const auto name = ParsePartName(path.string());
  if (!name) return {path};
  std::vector<fs::path> files;
  for (uint64_t i = 1; i <= std::min(name->count, kMaxParts); ++i) {
    std::error_code none;
    if (fs::is_regular_file(name->Sibling(i), none)) files.push_back(name->Sibling(i));
  }
  return files;
}

std::string ModelIdentity(const fs::path& path) {
  const std::vector<fs::path> files = ModelFiles(path);
  std::string text;
  for (const fs::path& file : files) {
    if (files.size() > 1) text += file.filename().string() + ' ';
    text += ContentIdentity(file) + '\n';
  }
  return text;
}

}  // namespace crossover::engine
