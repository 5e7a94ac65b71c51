// The flags that say how a text is drawn and where it ends: of `generate` and `chat`.
#pragma once

#include <CLI/CLI.hpp>

#include "engine/generate.h"

namespace crossover::tools {

/// -n --temp --top-k --top-p --min-p --repeat-penalty --repeat-last-n --seed --stop --ignore-eos.
/// `options` must live until the command has run.
void AddGenerateFlags(CLI::App& command, engine::GenerateOptions& options);

}  // namespace crossover::tools
