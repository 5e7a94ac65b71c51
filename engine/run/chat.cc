#include "engine/run/chat.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "engine/model/trained_context.h"

namespace crossover::engine {
namespace {

std::tm Now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

// A template that loses words does so in its first turn, or when there is a turn before.
constexpr int kLooksForLoss = 2;

std::string TextOf(const tokenizer::Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? tokenizer.Decode(*id, /*special=*/true) : std::string();
}

tokenizer::ChatTemplateOptions OptionsFor(const tokenizer::Tokenizer& tokenizer,
                                          std::optional<bool> enable_thinking) {
  const tokenizer::Vocabulary& vocabulary = tokenizer.vocabulary();
  return {.bos = TextOf(tokenizer, vocabulary.bos),
          .eos = TextOf(tokenizer, vocabulary.eos),
          .enable_thinking = enable_thinking,
          .now = Now()};
}

}  // namespace

const std::string_view kPlainChatTemplate =
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}\n\n"
    "{% else %}{{ message.role | capitalize }}: {{ message.content | trim }}\n"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}";

std::string RenderChat(const tokenizer::ChatTemplate& chat_template,
                       const tokenizer::Tokenizer& tokenizer,
                       std::span<const tokenizer::ChatMessage> messages,
                       std::optional<bool> enable_thinking, std::string tools) {
  tokenizer::ChatTemplateOptions options = OptionsFor(tokenizer, enable_thinking);
  options.tools = std::move(tools);
  return chat_template.Render(messages, options);
}

std::string LostByTemplate(const tokenizer::ChatTemplate& chat_template,
                           const tokenizer::Tokenizer& tokenizer,
                           std::span<const tokenizer::ChatMessage> messages,
                           std::optional<bool> enable_thinking) {
  tokenizer::ChatTemplateOptions options = OptionsFor(tokenizer, enable_thinking);
  std::vector<std::string> lost;
  for (const size_t i : chat_template.LeftOut(messages, options)) {
    const std::string role = fmt::format("the {} message", messages[i].role);
    if (std::ranges::find(lost, role) == lost.end()) lost.push_back(role);
  }
  if (enable_thinking) {
    const std::string prompt = chat_template.Render(messages, options);
    options.enable_thinking = !*enable_thinking;
    if (chat_template.Render(messages, options) == prompt) {
      lost.emplace_back("the switch for thinking");
    }
  }
  if (lost.empty()) return {};
  return fmt::format("the chat template does not look at {}, so the model will not see it",
                     fmt::join(lost, " and "));
}

Chat::Chat(Engine& engine, const tokenizer::Tokenizer& tokenizer, std::string_view chat_template,
           ChatOptions options)
    : engine_(engine),
      tokenizer_(tokenizer),
      template_(chat_template),
      options_(std::move(options)),
      sequence_(engine) {
  Clear();
}

void Chat::Clear() {
  messages_.clear();
  if (!options_.system.empty()) messages_.push_back({"system", options_.system});
}

std::string Chat::Render() const {
  return RenderChat(template_, tokenizer_, messages_, options_.enable_thinking);
}

void Chat::WarnOfLoss() {
  if (!options_.on_warning || looks_for_loss_ >= kLooksForLoss) return;
  ++looks_for_loss_;
  const std::string lost =
      LostByTemplate(template_, tokenizer_, messages_, options_.enable_thinking);
  if (lost.empty()) return;
  options_.on_warning(lost);
  looks_for_loss_ = kLooksForLoss;
}

bool Chat::BeginsWithSpecial(std::string_view text) const {
  const tokenizer::Vocabulary& vocabulary = tokenizer_.vocabulary();
  for (size_t id = 0; id < tokenizer_.size(); ++id) {
    const tokenizer::TokenType type = vocabulary.types[id];
    const bool special =
        type == tokenizer::TokenType::kControl || type == tokenizer::TokenType::kUserDefined;
    if (special && !vocabulary.tokens[id].empty() && text.starts_with(vocabulary.tokens[id])) {
      return true;
    }
  }
  return false;
}

// Texts are encoded between special tokens. So if the conversation goes on with one where it was
// left, what stands before is as it was: also where the model wrote other tokens than Encode would.
// Nothing else is taken for granted of a template: a prompt that is shorter than the last one, or
// says other things of earlier turns, is encoded as a whole, and Reply keeps of the cache what both
// begin with.
std::vector<TokenId> Chat::Encode(std::string_view prompt) const {
  std::vector<TokenId> ids;
  const std::string_view added =
      prompt.starts_with(text_) ? prompt.substr(text_.size()) : std::string_view();
  if (!text_.empty() && BeginsWithSpecial(added)) {
    ids = ids_;
  } else {
    ids = tokenizer_.Encode(prompt, {.add_special = false});
    // Most templates write it, some leave it to the tokenizer.
    const auto bos = tokenizer_.vocabulary().bos;
    if (tokenizer_.adds_bos() && (ids.empty() || ids[0] != *bos)) ids.insert(ids.begin(), *bos);
    return ids;
  }
  const std::vector<TokenId> rest = tokenizer_.Encode(added, {.add_special = false});
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

Chat::Answer Chat::Reply(const std::string& message, GenerateOptions options) {
  const size_t before = messages_.size();
  messages_.push_back({"user", message});
  try {
    const std::string prompt = Render();
    const std::vector<TokenId> ids = Encode(prompt);
    if (ids.empty()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the chat template makes an empty prompt of the conversation, which a model "
                  "cannot answer; begin a new one, or use another template");
    }
    WarnOfLoss();
    const size_t capacity = std::min<size_t>(engine_.kv().pages() * engine_.options().page_tokens,
                                             TrainedContext(engine_.model().config()));
    if (ids.size() >= capacity) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("the conversation has {}, and the context room for {}: begin a "
                              "new one, or ask for more context",
                              Counted(ids.size(), "token"), capacity));
    }
    options.max_tokens = std::min(options.max_tokens, capacity - ids.size());
    options.sampler.seed += before;

    // The last token is read again at least: its logits are wanted.
    const size_t length = std::min({ids.size() - 1, ids_.size(), engine_.length(sequence_.id())});
    const auto [end, unused] =
        std::mismatch(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(length), ids.begin());
    const auto cached = static_cast<size_t>(end - ids_.begin());
    engine_.Truncate(sequence_.id(), cached);
    ids_ = ids;
    text_ = prompt;
    Answer answer{
        Continue(engine_, tokenizer_, sequence_.id(), std::span(ids).subspan(cached), options),
        cached};
    ids_.insert(ids_.end(), answer.ids.begin(), answer.ids.end());
    for (const TokenId id : answer.ids) text_ += tokenizer_.Decode(id, /*special=*/true);
    messages_.push_back({"assistant", answer.text});
    return answer;
  } catch (...) {
    messages_.resize(before);
    throw;
  }
}

}  // namespace crossover::engine
