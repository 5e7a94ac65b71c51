// What a file is that is not what was asked for: a Git LFS pointer, a web page, an archive …
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace crossover {

/// For the error about a file that a reader does not understand: what the file's first bytes (all
/// of them, or 512 and more) say it is, and what to do: "is a Git LFS pointer, not the file itself;
/// fetch that by …". Empty if nothing is known. `whole_bytes` is the file's length.
std::string KnownAs(std::span<const std::byte> beginning, size_t whole_bytes);

/// The same for files of text, in which most kinds could stand on purpose: only what is surely not
/// meant. Error(kCorruptFile) with `name` if it is a Git LFS pointer.
void CheckIsNoPointer(std::string_view text, std::string_view name);

/// For data that no pointer, page, archive or empty file can be: Error(kCorruptFile) says what
/// `text` is.
void CheckIsData(std::string_view text, std::string_view name);

/// Whether a download of `path` seems to be under way or to have been given up: by its own name
/// (.part, .crdownload, .incomplete …) or by the note that a downloader keeps beside it (.aria2).
/// A sentence that says so, or empty.
std::string UnfinishedDownload(const std::string& path);

}  // namespace crossover
