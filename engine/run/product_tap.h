// The inputs of a pass's matrix products, for whoever measures what weights meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "engine/run/probe.h"
#include "kernels/team.h"

namespace crossover::engine {

/// Products that share an input count as one.
enum class Product : uint8_t { kQkv, kAttentionOutput, kRouter, kGateUp, kDown, kOutput };
inline constexpr size_t kLayerProducts = 5;  // all but the last

struct ProductPlace {
  Product product;
  size_t layer = 0;
  size_t expert = 0;  // of kGateUp and kDown, where there are experts
};

struct ProductInput {
  ProductPlace place;
  std::span<const float> rows;  // [tokens][cols]
  size_t tokens;
  size_t cols;
};

/// Called by all workers at once, before the product; a barrier follows.
using ProductTap = std::function<void(const kernels::Worker& worker, const ProductInput& input)>;

/// Who looks at a pass; null: nobody.
struct Observers {
  const Probe* probe = nullptr;
  const ProductTap* tap = nullptr;
};

}  // namespace crossover::engine
