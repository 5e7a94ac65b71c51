// Log-probabilities as the two interfaces write them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/batch/token_score.h"
#include "tokenizer/tokenizer.h"

namespace crossover::serve {

/// A token of an answer's text.
struct ShownToken {
  TokenId id = 0;
  size_t offset = 0;                  // of the text, in characters
  const TokenScore* score = nullptr;  // null: nothing stands before it
};

/// Of /v1/completions: {"tokens", "token_logprobs", "top_logprobs", "text_offset"}, all of one
/// length. The alternatives are an object whose keys are texts: of two tokens with the same text
/// the likelier is kept. The token itself is always among them.
void AppendLegacyLogprobs(std::string& out, const tokenizer::Tokenizer& tokenizer,
                          std::span<const ShownToken> tokens);

/// Of /v1/chat/completions: [{"token", "logprob", "bytes", "top_logprobs"}, …].
void AppendContentLogprobs(std::string& out, const tokenizer::Tokenizer& tokenizer,
                           std::span<const TokenScore> scores);

/// Where each token begins in `text`, which Decode has made of them, in characters. A token's own
/// text may have a space more, which Decode leaves out where a text begins.
std::vector<size_t> TextOffsets(const tokenizer::Tokenizer& tokenizer, std::span<const TokenId> ids,
                                std::string_view text);

size_t CountCharacters(std::string_view text);

}  // namespace crossover::serve
