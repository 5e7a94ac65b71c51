// A pipe of this process's own.
#pragma once

#include "base/descriptor.h"

namespace crossover {

struct Pipe {
  Descriptor read_end, write_end;
};

/// Closed in what exec starts. Error(kIo).
Pipe MakePipe();

}  // namespace crossover
