// What a tensor does in a model, read off its GGUF name: as far as recipes care.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace crossover::quant {

enum class Role {
  kOutput,     // output.weight
  kEmbedding,  // token_embd.weight
  kAttnV,      // values, also fused: attn_v, attn_qkv, attn_kv_b
  kAttnK,
  kAttnQ,
  kAttnOutput,
  kFfnDown,  // of one expert or all
  kFfnGate,
  kFfnUp,
  kOther,  // whatever no recipe singles out
};

Role RoleOf(std::string_view name);

/// N of "blk.N.…"; nothing for tensors outside the layers.
std::optional<uint32_t> LayerOf(std::string_view name);

/// Whether the tensor may be stored quantised: a matrix (or a stack of them) of weights, and not
/// one of those that cost next to nothing and hurt when rounded (norms, routers, positions).
bool MayQuantize(std::string_view name, std::span<const uint64_t> shape);

}  // namespace crossover::quant
