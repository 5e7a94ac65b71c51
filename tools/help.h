// How help looks: each command's with the flags that all commands have, and `help` as a word.
#pragma once

#include <CLI/CLI.hpp>

namespace crossover::tools {

/// Adds `crossover help [COMMAND…]` and makes every command's help show the app's own flags. To be
/// called before the other commands are added: they take over the app's formatter.
void AddHelp(CLI::App& app);

}  // namespace crossover::tools
