// Lines that a person types, or that a file or pipe holds.
#pragma once

#include <optional>
#include <string>

namespace crossover::tools {

/// Whether both ends are a terminal: a person, not a script.
bool IsInteractive();

/// The next line of the standard input, without its end; nothing when there are no more. A person
/// sees `prompt` and, where libedit is there, may edit the line and call up earlier ones; Ctrl-C
/// then ends the program.
std::optional<std::string> ReadLine(const std::string& prompt);

}  // namespace crossover::tools
