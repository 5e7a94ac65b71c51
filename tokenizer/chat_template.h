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

namespace crossover::tokenizer {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

struct ChatTemplateOptions {
  std::string bos = {}, eos = {};  // the special tokens' texts
  bool add_generation_prompt = true;
  std::optional<bool> enable_thinking = {};  // not set: as the template does by itself
  std::tm now{};                        // for templates that tell the model the date
};

class ChatTemplate {
 public:
  /// Error(kUnsupported) "chat template, line N: …".
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The prompt. Error(kInvalidArgument, kUnsupported) "chat template, line N: …", for example
  /// where the template refuses a system message. Thread-safe.
  std::string Render(std::span<const ChatMessage> messages,
                     const ChatTemplateOptions& options) const;

 private:
  struct Tree;
  std::unique_ptr<const Tree> tree_;
};

}  // namespace crossover::tokenizer
