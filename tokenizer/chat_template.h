// How a model wants a conversation written: the template of its file, in the language that
// Hugging Face's tokenizers use (a subset of Jinja). Templates are interpreted, not recognised:
// families change theirs from version to version, so that a list of known ones would answer with
// the wrong marks where it answers at all.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::tokenizer {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
  /// A JSON object with what templates may look at beside these: "tool_calls", "name". What stands
  /// there counts before the members above. Empty: nothing.
  std::string more = {};
};

struct ChatTemplateOptions {
  std::string bos = {}, eos = {};  // the special tokens' texts
  bool add_generation_prompt = true;
  std::optional<bool> enable_thinking = {};  // not set: as the template does by itself
  /// A JSON list of the functions that the model may call; empty: none.
  std::string tools = {};
  std::tm now{};  // for templates that tell the model the date
};

class ChatTemplate {
 public:
  /// Error(kUnsupported) "chat template, line N: …".
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The prompt, which may be empty, and need not begin as that of fewer messages does.
  /// Error(kInvalidArgument, kUnsupported) "chat template, line N: …", for example where the
  /// template refuses a system message, for tools or members that are no JSON, or where it needs
  /// more work or memory than any conversation does; Error(kInterrupted) after a signal.
  /// Thread-safe.
  std::string Render(std::span<const ChatMessage> messages,
                     const ChatTemplateOptions& options) const;

  /// Which of the messages the prompt does not depend on: their words never reach the model. Some
  /// templates know no system message, for example. Renders once for each message.
  std::vector<size_t> LeftOut(std::span<const ChatMessage> messages,
                              const ChatTemplateOptions& options) const;

 private:
  struct Tree;
  std::unique_ptr<const Tree> tree_;
};

}  // namespace crossover::tokenizer
