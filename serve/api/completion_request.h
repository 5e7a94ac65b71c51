// The body of a request to /v1/completions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "serve/api/text_request.h"
#include "tokenizer/tokenizer.h"

namespace crossover::serve {

using tokenizer::TokenId;

/// A text, or ids, which are taken as they are: nothing is put before them.
using Prompt = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
  TextRequest text;
  std::vector<Prompt> prompts;  // at least one
  bool echo = false;
  std::optional<size_t> logprobs = {};  // alternatives a token
  bool add_special_tokens = true;       // BOS before texts, where the vocabulary has it so
};

/// ApiError(400) with the member at fault. `vocabulary`: ids are below.
CompletionRequest ReadCompletionRequest(std::string_view body, const ApiLimits& limits,
                                        size_t vocabulary);

/// The ids of a list of numbers. ApiError(400) "'NAME': …".
std::vector<TokenId> ReadIds(const Fields& fields, const std::string& name,
                             const nlohmann::json& list, size_t vocabulary);

}  // namespace crossover::serve
