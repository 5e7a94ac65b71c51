// Where a model meets a vocabulary: its rows of embeddings and logits, and the tokens that they
// stand for. More rows than tokens are ordinary, for many models pad their embedding. The rows
// behind the vocabulary's are part of the softmax, as in other engines, and are never drawn.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "engine/files/gguf.h"
#include "engine/run/log_softmax.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

class Model;

/// Error(kCorruptFile) if there are more tokens than rows, so that a token would have no embedding
/// and no logit. Loading holds a file's own vocabulary against its weights.
void CheckRows(std::string_view file, size_t rows, size_t tokens);
/// The same for whatever takes a tokenizer beside an engine.
void CheckRows(const Model& model, const tokenizer::Tokenizer& tokenizer);

/// Of the file's vocabulary; `rows` where it has none.
size_t CountTokens(const GgufFile& file, size_t rows);

/// What greedy decoding would draw: the first of the largest logits of the first `tokens` rows.
tokenizer::TokenId LikeliestToken(const RowExtremes& row, std::span<const float> logits,
                                  size_t tokens);

}  // namespace crossover::engine
