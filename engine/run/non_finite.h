// What to tell users whose model gives no numbers.
#pragma once

#include <span>
#include <string>

#include "tokenizer/tokenizer.h"

namespace crossover::engine {

class Engine;

/// Feeds `tokens` once more, to an engine of its own with the same options, and looks at what each
/// step leaves: names the layer and the tensor where the first NaN or infinity arises, and whether
/// it stands in the tensor or comes of too large values. A phrase to put behind a colon.
std::string LocateNonFinite(const Engine& engine,
                            std::span<const tokenizer::TokenId> tokens) noexcept;

/// Error(kNonFinite): "WHERE: the model's logits are not finite: LocateNonFinite".
[[noreturn]] void ThrowNonFinite(const Engine& engine, std::span<const tokenizer::TokenId> tokens,
                                 const std::string& where);

}  // namespace crossover::engine
