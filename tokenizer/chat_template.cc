#include "tokenizer/chat_template.h"

#include <fmt/format.h>

#include <new>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/from_json.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace crossover::tokenizer {
namespace {

constexpr size_t kMaxSource = size_t{1} << 20;  // real ones have up to 20 kB

// A tree takes several hundred bytes a token, and templates have a few thousand.
constexpr jinja::Budget::Limits kParserLimits{.bytes = size_t{64} << 20};
// What the longest conversations need on top, since templates that go through the characters of a
// message one by one are in use.
constexpr size_t kStepsPerByte = 64;

template <typename Work>
auto Named(const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    throw Error(error.code(), fmt::format("chat template, {}", error.what()));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "chat template: there is not enough memory for it");
  }
}

jinja::Budget::Limits LimitsFor(std::span<const ChatMessage> messages) {
  jinja::Budget::Limits limits;
  for (const ChatMessage& message : messages)
    limits.steps += kStepsPerByte * (message.content.size() + message.more.size());
  return limits;
}

nlohmann::ordered_json Parse(std::string_view text, const char* what) {
  return ParseOrderedJson(
      text, {.name = what, .code = ErrorCode::kInvalidArgument, .remedy = "give JSON"});
}

void SetMembers(jinja::Budget& budget, std::string_view text, jinja::DictBuilder& dict) {
  const auto members = Parse(text, "members of a message");
  for (const auto& [key, value] : members.items()) {
    dict.Set(jinja::Value::Text(budget, key), jinja::FromJson(budget, value));
  }
}

jinja::Value ListOf(jinja::Budget& budget, std::span<const ChatMessage> messages) {
  jinja::ListBuilder list(budget);
  for (const ChatMessage& message : messages) {
    jinja::DictBuilder dict(budget);
    dict.Set(jinja::Value::Text(budget, "role"), jinja::Value::Text(budget, message.role));
    dict.Set(jinja::Value::Text(budget, "content"), jinja::Value::Text(budget, message.content));
    if (!message.more.empty()) SetMembers(budget, message.more, dict);
    list.Add(dict.Finish());
  }
  return list.Finish();
}

}  // namespace

struct ChatTemplate::Tree {
  jinja::Block block;
};

ChatTemplate::ChatTemplate(std::string_view source) {
  if (source.size() > kMaxSource) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("the chat template has {} bytes; at most {} are read", source.size(),
                            kMaxSource));
  }
  jinja::Budget budget(kParserLimits);
  tree_ = Named([&] { return std::make_unique<const Tree>(Tree{jinja::Parse(budget, source)}); });
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::Render(std::span<const ChatMessage> messages,
                                 const ChatTemplateOptions& options) const {
  jinja::Budget budget(LimitsFor(messages));
  return Named([&] {
    jinja::Namespace globals(budget);
    jinja::AddFunctions(options.now, globals);
    globals.Set("messages", ListOf(budget, messages));
    // Where there are none, some templates test for it by `is not none`.
    globals.Set("tools", nullptr);
    if (!options.tools.empty()) {
      globals.Set("tools", jinja::FromJson(budget, Parse(options.tools, "tools")));
    }
    globals.Set("documents", nullptr);
    globals.Set("bos_token", jinja::Value::Text(budget, options.bos));
    globals.Set("eos_token", jinja::Value::Text(budget, options.eos));
    globals.Set("add_generation_prompt", options.add_generation_prompt);
    if (options.enable_thinking) globals.Set("enable_thinking", *options.enable_thinking);
    return jinja::Run(budget, tree_->block, globals);
  });
}

std::vector<size_t> ChatTemplate::LeftOut(std::span<const ChatMessage> messages,
                                          const ChatTemplateOptions& options) const {
  const std::string prompt = Render(messages, options);
  std::vector<ChatMessage> changed(messages.begin(), messages.end());
  std::vector<size_t> left_out;
  for (size_t i = 0; i < changed.size(); ++i) {
    if (changed[i].content.empty()) continue;
    // A letter more at its end shows through whatever a template does with a text.
    changed[i].content += 'x';
    try {
      if (Render(changed, options) == prompt) left_out.push_back(i);
    } catch (const Error& error) {
      // It minds what the message says, so it looks at it.
      if (error.code() == ErrorCode::kInterrupted) throw;
    }
    changed[i].content.pop_back();
  }
  return left_out;
}

}  // namespace crossover::tokenizer
