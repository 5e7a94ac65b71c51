// The subcommands under `crossover bench`, one a file.
#pragma once

#include "tools/command.h"

namespace crossover::tools {

void AddBenchCrossover(CLI::App& bench, const GlobalOptions& globals);
void AddBenchMachine(CLI::App& bench, const GlobalOptions& globals);
void AddBenchKernels(CLI::App& bench, const GlobalOptions& globals);
void AddBenchModel(CLI::App& bench, const GlobalOptions& globals);

}  // namespace crossover::tools
