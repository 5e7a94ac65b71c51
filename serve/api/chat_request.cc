#include "serve/api/chat_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "serve/api/api_error.h"

namespace crossover::serve {
namespace {

using nlohmann::json;

// A text, or the texts of parts of one; what is no text is refused.
std::string ReadContent(Fields& fields, const std::string& where) {
  const json* content = fields.Find("content");
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) fields.Fail("content", "a string or a list of parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    Fields part((*content)[i], fmt::format("{}content[{}].", where, i));
    const std::string type = part.Text("type").value_or("");
    if (type != "text") part.Fail("type", fmt::format("'{}': only text is read here", type));
    text += part.Text("text").value_or("");
    part.RefuseOthers();
  }
  return text;
}

// What templates may look at beside role and content, for them to read; empty: nothing.
std::string ReadMore(Fields& fields, bool has_content) {
  json more = json::object();
  for (const char* name : {"name", "tool_calls", "tool_call_id"}) {
    if (const json* value = fields.Find(name)) more[name] = *value;
  }
  if (const json* calls = fields.Find("tool_calls")) {
    if (!calls->is_array()) fields.Fail("tool_calls", "a list");
  }
  if (more.empty()) return {};
  if (!has_content) more["content"] = nullptr;
  return DumpJson(more);
}

tokenizer::ChatMessage ReadMessage(const json& value, size_t i) {
  const std::string where = fmt::format("messages[{}].", i);
  Fields fields(value, where);
  tokenizer::ChatMessage message;
  message.role = fields.Text("role").value_or("");
  if (message.role.empty()) fields.Fail("role", "missing: \"user\", for instance");
  if (message.role == "developer") message.role = "system";  // its name with newer models
  const bool has_content = fields.Find("content") != nullptr;
  message.content = ReadContent(fields, where);
  message.more = ReadMore(fields, has_content);
  if (!has_content && message.more.empty()) fields.Fail("content", "missing: a string");
  fields.Ignore({"refusal", "reasoning_content", "annotations", "audio", "function_call"});
  fields.RefuseOthers();
  return message;
}

std::vector<tokenizer::ChatMessage> ReadMessages(Fields& fields) {
  const json* messages = fields.Find("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    fields.Fail("messages", "a list of messages, which is not empty");
  }
  std::vector<tokenizer::ChatMessage> read;
  for (size_t i = 0; i < messages->size(); ++i) read.push_back(ReadMessage((*messages)[i], i));
  return read;
}

// The body as it came, so that a template prints a tool's members in their order.
std::string ReadTools(Fields& fields, std::string_view body) {
  const json* tools = fields.Find("tools");
  if (tools == nullptr || tools->empty()) return {};
  if (!tools->is_array()) fields.Fail("tools", "a list");
  const auto ordered = ParseOrderedJson(body, {.name = "the body"});
  return DumpJson(ordered.at("tools"));
}

std::optional<size_t> ReadLogprobs(Fields& fields, const ApiLimits& limits) {
  const bool wanted = fields.Bool("logprobs").value_or(false);
  const auto top = fields.Whole("top_logprobs", 0, limits.max_alternatives);
  if (top && *top > 0 && !wanted) fields.Fail("top_logprobs", "only where logprobs is true");
  return wanted ? std::optional(top.value_or(0)) : std::nullopt;
}

std::optional<bool> ReadThinking(Fields& fields) {
  const json* arguments = fields.Find("chat_template_kwargs");
  if (arguments == nullptr) return std::nullopt;
  Fields inner(*arguments, "chat_template_kwargs.");
  const auto thinking = inner.Bool("enable_thinking");
  inner.RefuseOthers();
  return thinking;
}

void ReadToolChoice(Fields& fields, ChatRequest& request) {
  const json* choice = fields.Find("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice != "none")
    fields.Fail("tool_choice", "\"auto\" or \"none\": a call cannot be forced");
  request.tools.clear();
}

void ReadFormat(Fields& fields) {
  const json* format = fields.Find("response_format");
  if (format == nullptr) return;
  Fields inner(*format, "response_format.");
  if (inner.Text("type").value_or("") != "text") inner.Fail("type", "only \"text\" is known here");
  inner.RefuseOthers();
}

}  // namespace

ChatRequest ReadChatRequest(std::string_view body, const ApiLimits& limits) {
  const json object = ParseBody(body);
  Fields fields(object);
  ChatRequest request;
  request.text = ReadTextRequest(fields, limits);
  if (const auto newer = fields.Whole("max_completion_tokens", 0, limits.max_tokens)) {
    request.text.max_tokens = newer;
  }
  request.messages = ReadMessages(fields);
  request.tools = ReadTools(fields, body);
  request.enable_thinking = ReadThinking(fields);
  request.logprobs = ReadLogprobs(fields, limits);
  ReadToolChoice(fields, request);
  ReadFormat(fields);
  fields.Ignore({"parallel_tool_calls"});
  fields.RefuseOthers();
  return request;
}

}  // namespace crossover::serve
