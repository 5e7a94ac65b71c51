// Short names for contents.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace crossover {

/// 16 hex digits of 64-bit FNV-1a: names a content, secures nothing.
std::string Fingerprint(std::string_view bytes);

/// Names the content of a file (or directory) without reading it: path, size and time of the last change, as text.
/// std::filesystem::filesystem_error if it is not there.
std::string FileIdentity(const std::filesystem::path& path);

}  // namespace crossover
