// The body of a request to /v1/chat/completions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api/text_request.h"
#include "tokenizer/chat_template.h"

namespace crossover::serve {

struct ChatRequest {
  TextRequest text;
  std::vector<tokenizer::ChatMessage> messages;  // at least one
  std::string tools;                             // as ChatTemplateOptions has them
  std::optional<bool> enable_thinking = {};
  std::optional<size_t> logprobs = {};  // alternatives a token
};

/// ApiError(400) with the member at fault.
ChatRequest ReadChatRequest(std::string_view body, const ApiLimits& limits);

}  // namespace crossover::serve
