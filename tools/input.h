// Texts that commands read: from a file, or by the name "-" from the standard input.
#pragma once

#include <string>

namespace crossover::tools {

/// What a file holds; of "-", the standard input (a file of that name is ./-). Error(kNotFound,
/// kIo) with the name.
std::string ReadInput(const std::string& path);

/// For messages: the path, or "standard input".
std::string InputName(const std::string& path);

/// A prompt out of a file as an editor leaves it: without a byte order mark at its beginning and
/// without the end of its last line. Nothing else is taken off.
std::string PromptText(std::string text);

}  // namespace crossover::tools
