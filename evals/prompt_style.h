// How an item, its examples and what stands before them become one prompt.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/chat_template.h"

namespace crossover::evals {

struct AnsweredExample {
  std::string prompt;
  std::string answer;  // without the delimiter
};

struct PromptStyle {
  size_t fewshot = 0;
  std::string system = {};  // before everything, in a message of its own where there are messages
  /// Makes a prompt of messages, up to where the assistant's turn begins; null: plain text.
  std::function<std::string(std::span<const tokenizer::ChatMessage>)> chat = {};
  bool multiturn = false;  // with `chat`: examples are turns of user and assistant
};

/// The prompt in a style, as lm-evaluation-harness writes it. Plain text: the system's text,
/// description, examples (each answered and followed by a blank line) and the item's own prompt,
/// one after the other. With a chat template: system and description are the system's message,
/// examples and the item's prompt one message of the user, or a turn each. `own` false: the prompt
/// is not the user's, but begins the assistant's turn.
std::string StyledPrompt(const PromptStyle& style, const std::string& description,
                         std::span<const AnsweredExample> examples, const std::string& delimiter,
                         const std::string& prompt, bool own = true);

}  // namespace crossover::evals
