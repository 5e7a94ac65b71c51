// Products of many tokens in bytes with rows as they lie in the file. Internal to kernels/.
#pragma once

#include <span>

#include "kernels/matmul_kernels.h"

namespace crossover::kernels {

/// Null where a format has a packed form, or does not say how a block comes apart into codes and
/// scales that panels hold; and where the level does not multiply many tokens in bytes.
std::span<const GemvQ8Fn> GemmRowsTable();

}  // namespace crossover::kernels
