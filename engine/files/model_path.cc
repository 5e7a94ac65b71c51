#include "engine/files/model_path.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file_kind.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKindBytes = 512;  // of a file's beginning: a tar archive's mark is the farthest
constexpr size_t kNamedFiles = 3;

std::vector<std::string> NamesWithExtension(const fs::path& directory, const char* extension) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (it->path().extension() == extension) names.push_back(it->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

bool IsHuggingFace(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return false;
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: {}", path.string(), what));
  };
  std::vector<std::string> files = NamesWithExtension(path, ".gguf");
  if (!files.empty()) {
    const size_t more = files.size() - std::min(files.size(), kNamedFiles);
    files.resize(files.size() - more);
    fail(fmt::format("is a directory; name the GGUF file in it: {}{}", fmt::join(files, ", "),
                     more > 0 ? " …" : ""));
  }
  if (fs::exists(path / "config.json", ignored)) return true;
  if (!NamesWithExtension(path, ".safetensors").empty()) {
    fail("is a directory of weights without config.json, which Hugging Face's models have");
  }
  fail("is a directory; name a GGUF file, or a directory as Hugging Face distributes models");
  return false;
}

std::string WhatInstead(const MappedFile& file) {
  const auto bytes = file.bytes();
  const std::string known = KnownAs(bytes.first(std::min(bytes.size(), kKindBytes)), bytes.size());
  return known.empty() ? "" : fmt::format("{}: {}", file.path(), known);
}

std::string UnfinishedNote(const fs::path& path) {
  const std::string note = UnfinishedDownload(path.string());
  return note.empty() ? "" : fmt::format(" ({})", note);
}

}  // namespace crossover::engine
