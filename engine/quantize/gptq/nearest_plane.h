// Codes of a matrix by GPTQ, for blocks whose scales stand already ("static groups").
#pragma once

#include <cstddef>
#include <span>

#include "engine/quantize/gptq/factor.h"
#include "quant/format.h"

namespace crossover::engine {

/// (w - ŵ) (H + λI) (w - ŵ)ᵀ, over all rows.
struct GptqLoss {
  double plain = 0;  // of the codes that were there
  double gptq = 0;   // of those that are there now
};

/// `weights`: [rows][factor.size()]. `blocks`: the same rows encoded by the format's own search;
/// their codes are replaced in every row where that lowers the loss, so it is never above.
/// The codes do not depend on the number of threads.
GptqLoss ChooseCodes(kernels::Team& team, const HessianFactor& factor, quant::Format format,
                     std::span<const float> weights, std::span<std::byte> blocks);

}  // namespace crossover::engine
