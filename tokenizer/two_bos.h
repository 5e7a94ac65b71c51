// A text that writes BOS itself, as chat formats copied from a model's card do.
#pragma once

#include <span>

#include "tokenizer/tokenizer.h"

namespace crossover::tokenizer {

/// Whether `ids`, encoded with what the vocabulary adds, begin with the BOS that it adds and with
/// one more: models have not seen two.
inline bool BeginsWithTwoBos(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  return tokenizer.adds_bos() && ids.size() > 1 && ids[0] == ids[1] &&
         ids[0] == tokenizer.vocabulary().bos;
}

}  // namespace crossover::tokenizer
