// Whether the system has the threads that a parallel region is about to ask for: OpenMP's runtime
// ends the program where it gets fewer.
#pragma once

#include <cstddef>

namespace crossover::kernels {

/// Whether `count` threads, the caller's among them, can be there at once: memory for their stacks
/// and the limit on processes allow it. Costs some 20 µs for each that was not asked for before.
bool CanStartThreads(size_t count);

/// Error(kOutOfMemory) if they cannot.
void RequireThreads(size_t count);

}  // namespace crossover::kernels
