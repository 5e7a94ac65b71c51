// Tensors as people group them in tables.
#pragma once

#include <string>
#include <string_view>

namespace crossover::tools {

/// "blk.17.attn_q.weight" → "attn_q.weight", so that a table has one row for all layers.
std::string TensorRole(std::string_view name);

}  // namespace crossover::tools
