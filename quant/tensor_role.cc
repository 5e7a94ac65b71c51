#include "quant/tensor_role.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace crossover::quant {
namespace {

struct RolePattern {
  std::string_view part;
  Role role;
};

// The first part found decides.
constexpr auto kRolePatterns = std::to_array<RolePattern>({
    {"attn_qkv.weight", Role::kAttnV},
    {"attn_kv_b.weight", Role::kAttnV},
    {"attn_v.weight", Role::kAttnV},
    {"attn_k.weight", Role::kAttnK},
    {"attn_q.weight", Role::kAttnQ},
    {"attn_output.weight", Role::kAttnOutput},
    {"ffn_down", Role::kFfnDown},
    {"ffn_gate", Role::kFfnGate},
    {"ffn_up", Role::kFfnUp},
});

constexpr auto kKeptParts = std::to_array<std::string_view>({
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "time_mix_first.weight",
    "attn_rel_b.weight",
    ".position_embd",
    ".patch_embd",
});

constexpr auto kKeptNames =
    std::to_array<std::string_view>({"position_embd.weight", "token_types.weight"});

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

Role RoleOf(std::string_view name) {
  if (name == "output.weight") return Role::kOutput;
  if (name == "token_embd.weight") return Role::kEmbedding;
  const auto found = std::ranges::find_if(
      kRolePatterns, [=](const RolePattern& pattern) { return Contains(name, pattern.part); });
  return found == kRolePatterns.end() ? Role::kOther : found->role;
}

std::optional<uint32_t> LayerOf(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  uint32_t layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  return layer;
}

bool MayQuantize(std::string_view name, std::span<const uint64_t> shape) {
  const bool matrix =
      shape.size() > 1 &&
      std::ranges::any_of(shape.subspan(1), [](uint64_t extent) { return extent > 1; });
  return matrix && name.ends_with("weight") &&
         std::ranges::none_of(kKeptParts,
                              [=](std::string_view part) { return Contains(name, part); }) &&
         std::ranges::find(kKeptNames, name) == kKeptNames.end();
}

}  // namespace crossover::quant
