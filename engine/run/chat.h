// A conversation with a model, kept in the KV cache: a turn costs the tokens that it adds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/engine.h"
#include "engine/run/sequence.h"
#include "tokenizer/chat_template.h"

namespace crossover::engine {

/// What stands in for the template of a model that has none: the roles as plain words.
extern const std::string_view kPlainChatTemplate;

/// The prompt that a template makes of messages, with the vocabulary's special tokens and today's
/// date. Error as of ChatTemplate::Render.
std::string RenderChat(const tokenizer::ChatTemplate& chat_template,
                       const tokenizer::Tokenizer& tokenizer,
                       std::span<const tokenizer::ChatMessage> messages,
                       std::optional<bool> enable_thinking = {}, std::string tools = {});

/// What a template loses of messages, or of the switch for thinking, as a line for a person; empty
/// if it is nothing. Error as of RenderChat.
std::string LostByTemplate(const tokenizer::ChatTemplate& chat_template,
                           const tokenizer::Tokenizer& tokenizer,
                           std::span<const tokenizer::ChatMessage> messages,
                           std::optional<bool> enable_thinking = {});

struct ChatOptions {
  std::string system;                   // the first message; empty: none
  std::optional<bool> enable_thinking;  // for templates that know such a switch
  // Takes a line about words that the template loses, once; may be null.
  std::function<void(const std::string&)> on_warning;
};

class Chat {
 public:
  /// `engine` and `tokenizer` must outlive it. Error(kUnsupported) for a broken template.
  Chat(Engine& engine, const tokenizer::Tokenizer& tokenizer, std::string_view chat_template,
       ChatOptions options);

  struct Answer : GenerateResult {
    size_t cached_tokens = 0;  // of the conversation, that were not read again
  };
  /// The answer to a message. max_tokens is cut to what the cache has room for, the seed of each
  /// turn another one. prompt_tokens are those that were fed. After an Error the message counts as
  /// unsaid: kInvalidArgument if the conversation has outgrown the cache or the template refuses
  /// it or makes nothing of it, else those of Continue.
  Answer Reply(const std::string& message, GenerateOptions options);

  /// Forgets all but the system message.
  void Clear();
  const std::vector<tokenizer::ChatMessage>& messages() const { return messages_; }

 private:
  std::string Render() const;
  void WarnOfLoss();
  std::vector<TokenId> Encode(std::string_view prompt) const;
  bool BeginsWithSpecial(std::string_view text) const;

  Engine& engine_;
  const tokenizer::Tokenizer& tokenizer_;
  tokenizer::ChatTemplate template_;
  ChatOptions options_;
  ScopedSequence sequence_;
  std::vector<tokenizer::ChatMessage> messages_;
  // The conversation as it was read and written last; the sequence holds a beginning of it.
  std::string text_;
  std::vector<TokenId> ids_;
  int looks_for_loss_ = 0;
};

}  // namespace crossover::engine
