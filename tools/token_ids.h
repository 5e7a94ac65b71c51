// Token ids as text: what `tokenize` prints, people type, and JSON holds.
#pragma once

#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace crossover::tools {

/// Ids separated by white space, commas or brackets. Error(kInvalidArgument) naming `origin` and
/// the offset of what is no id.
std::vector<tokenizer::TokenId> ParseTokenIds(std::string_view text, std::string_view origin);

}  // namespace crossover::tools
