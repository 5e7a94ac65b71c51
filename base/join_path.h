// A folder's path and a name in it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace crossover {

/// `folder / name`. The library's own operator crashes in GCC 12
/// where memory runs out while it takes a name of 16 characters or more behind a folder that is
/// written with a slash at its end.
inline std::filesystem::path JoinPath(const std::filesystem::path& folder, std::string_view name) {
  if (name.starts_with('/')) return name;
  std::string text = folder.native();
  if (!text.empty() && text.back() != '/') text += '/';
  text += name;
  return text;
}

}  // namespace crossover
