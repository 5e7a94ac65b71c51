#include "tokenizer/chat_template.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace crossover::tokenizer {
namespace {

constexpr size_t kMaxSource = size_t{1} << 20;  // real ones have up to 20 kB

template <typename Work>
auto Named(const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("chat template, {}", error.what()));
  }
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
  tree_ = Named([&] { return std::make_unique<const Tree>(Tree{jinja::Parse(source)}); });
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::Render(std::span<const ChatMessage> messages,
                                 const ChatTemplateOptions& options) const {
  jinja::List list;
  for (const ChatMessage& message : messages) {
    jinja::Dict dict;
    dict.Set("role", message.role);
    dict.Set("content", message.content);
    list.emplace_back(std::move(dict));
  }
  jinja::Namespace globals;
  jinja::AddFunctions(options.now, globals);
  globals.attributes["messages"] = std::move(list);
  // There are none, which some templates test for by `is not none`.
  globals.attributes["tools"] = nullptr;
  globals.attributes["documents"] = nullptr;
  globals.attributes["bos_token"] = options.bos;
  globals.attributes["eos_token"] = options.eos;
  globals.attributes["add_generation_prompt"] = options.add_generation_prompt;
  if (options.enable_thinking) globals.attributes["enable_thinking"] = *options.enable_thinking;
  return Named([&] { return jinja::Run(tree_->block, globals); });
}

}  // namespace crossover::tokenizer
