// The recipes as data: a base format and, for the tensors that rounding hurts most, rules.
#pragma once

#include <cstdint>
#include <span>

#include "quant/recipe.h"
#include "quant/tensor_role.h"

namespace crossover::quant {

/// Where a tensor stands among those of its role, and what of the model bears on its format.
struct Place {
  uint32_t index;  // i
  uint32_t count;  // n
  uint32_t queries_per_kv;
  bool importance;
};

struct Rule {
  Role role;
  bool (*applies)(const Place&);
  Format format;
};

struct Mixture {
  Recipe recipe;
  std::span<const Rule> rules;  // the first that applies decides; else the base
  bool wide_expert_output;      // with eight experts, attn_output is stored as Q5_K
  bool uniform = false;         // the base format everywhere, output and embedding too
};

std::span<const Mixture> Mixtures();

}  // namespace crossover::quant
