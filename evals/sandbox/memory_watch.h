// How much memory a process and all that it started hold together.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace crossover::evals {

/// The resident bytes of `root` and its descendants, by /proc; memory that several share counts
/// once for each. What ends meanwhile counts nothing. A limit on address space holds for one
/// process; this is what a limit on a family of them needs.
size_t ResidentBytes(pid_t root);

}  // namespace crossover::evals
