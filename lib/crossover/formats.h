// Formats of weights, and recipes: which tensor gets which.
//
// Tables of constants: safe from any thread. Sizes are bytes a block, blocks count weights.
#pragma once

#include "quant/format.h"  // IWYU pragma: export
#include "quant/recipe.h"  // IWYU pragma: export
