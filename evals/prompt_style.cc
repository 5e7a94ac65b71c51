#include "evals/prompt_style.h"

namespace crossover::evals {
namespace {

using tokenizer::ChatMessage;

constexpr const char* kBetween = "\n\n";

std::string System(const PromptStyle& style, const std::string& description) {
  const bool both = !style.system.empty() && !description.empty();
  return style.system + (both ? kBetween : "") + description;
}

std::string Joined(std::span<const AnsweredExample> examples, const std::string& delimiter) {
  std::string text;
  for (const AnsweredExample& example : examples) {
    text += example.prompt + delimiter + example.answer + kBetween;
  }
  return text;
}

}  // namespace

std::string StyledPrompt(const PromptStyle& style, const std::string& description,
                         std::span<const AnsweredExample> examples, const std::string& delimiter,
                         const std::string& prompt, bool own) {
  const std::string system = System(style, description);
  if (!style.chat) return system + Joined(examples, delimiter) + prompt;
  std::vector<ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", system});
  std::string user;
  if (style.multiturn) {
    for (const AnsweredExample& example : examples) {
      messages.push_back({"user", example.prompt});
      messages.push_back({"assistant", example.answer});
    }
  } else {
    user = Joined(examples, delimiter);
  }
  if (own) user += prompt;
  if (!user.empty()) messages.push_back({"user", user});
  // A conversation must begin somehow, whatever the harness makes of none.
  const std::string rest = own ? "" : prompt;
  return messages.empty() ? rest : style.chat(messages) + rest;
}

}  // namespace crossover::evals
