// How many threads can run at a time.
#pragma once

#include <cstddef>

namespace crossover::bench {

/// Logical CPUs that this process may use: of its affinity mask, at most the cgroup's quota. At
/// least 1.
size_t UsableCpus();

}  // namespace crossover::bench
