// Recipes: which format each tensor of a model gets (llama.cpp's names and choices; facts: every
// rule depends on the tensor's role, its layer, and the model's head counts).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/format.h"

namespace crossover::quant {

/// A named mixture, for example Q4_K_M.
struct Recipe {
  std::string_view name;
  uint32_t file_type;  // general.file_type in GGUF
  Format base;         // the format of most tensors
};

/// All recipes: F32, F16, BF16, Q1_0, Q2_0, Q4_0 … Q8_0, Q2_K, Q3_K_S/M/L, Q4_K_S/M, Q5_K_S/M,
/// Q6_K, IQ1_S … IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4; and one a format of the uniform family G2 …
/// G8.
std::span<const Recipe> Recipes();
/// Their names for people: a blank between two, the family in one phrase.
std::string RecipeNames();
/// By name, case-insensitive, aliases included (Q4_K is Q4_K_M, G4 is G4_64Z);
/// Error(kInvalidArgument) listing the known names.
const Recipe& FindRecipe(std::string_view name);

/// What the rules need to know of the model.
struct ModelFacts {
  std::string architecture;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t experts = 0;
  bool has_importance = false;
};

struct TensorFacts {
  std::string name;
  std::vector<uint64_t> shape;  // GGUF order: shape[0] is the row length
  Format source;
};

/// A format forced on the tensors whose name the pattern (ECMAScript, searched) matches; first
/// match wins.
struct TensorOverride {
  std::string pattern;
  Format format;
};

struct RecipeOptions {
  bool pure = false;  // the base format everywhere, output and embedding too
  std::vector<TensorOverride> overrides;
};

struct TensorChoice {
  Format format;  // what the tensor is stored as
  Format
      wanted;   // what the rules asked for; differs when the row length is no multiple of its block
  bool copied;  // never quantised: kept as in the input
  bool fallback() const { return format != wanted; }
};

/// One choice per tensor, in the order given.
std::vector<TensorChoice> PlanRecipe(const Recipe& recipe, const ModelFacts& model,
                                     std::span<const TensorFacts> tensors,
                                     const RecipeOptions& options = {});

}  // namespace crossover::quant
