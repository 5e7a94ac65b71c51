// How much memory all that a process started holds.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace crossover::evals {

/// The processes that `process` started and that still run.
std::vector<pid_t> Children(pid_t process);

/// The resident bytes of all descendants of `root`, without its own, by /proc; memory that several
/// share counts once for each. What ends meanwhile counts nothing. A limit on address space holds
/// for one process; this is what a limit on a family of them needs.
size_t BytesBelow(pid_t root);

}  // namespace crossover::evals
