// crossover info --machine: what the machine is, and which kernels run on it.
#pragma once

#include "tools/command.h"

namespace crossover::tools {

void PrintMachine(const GlobalOptions& globals);

}  // namespace crossover::tools
