// What a result was made from: files named by what they hold, not by where they lie or by times
// that can be set back.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace crossover {

/// 16 hex digits that name a regular file's content by all of its bytes, hashed as fast as memory
/// delivers them: from the disk it takes as long as reading the file does. Secures nothing: a
/// stranger could make two contents with one name. Error(kNotFound, kIo); Error(kInterrupted).
std::string ContentIdentity(const std::filesystem::path& path);

/// The same of bytes.
std::string ContentIdentity(std::span<const std::byte> bytes);

/// Changes whenever the files may have been written, replaced or exchanged since, without reading
/// them: sizes, inodes, times of writing and of change, of which the latter cannot be set back.
/// Says nothing across hosts or after a copy. A file that is missing has a stamp too.
std::string FileStamp(std::span<const std::filesystem::path> paths);

}  // namespace crossover
