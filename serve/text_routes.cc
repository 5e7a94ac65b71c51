// The routes whose answers the engine writes.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/descriptor.h"
#include "engine/run/chat.h"
#include "serve/api/api_error.h"
#include "serve/text_server.h"

namespace crossover::serve {
namespace {

constexpr size_t kDefaultTokens = 16;  // of /v1/completions, as the interface has it

// The plain template marks turns by words alone: the next one ends an answer.
constexpr const char* kPlainStop = "\nUser:";

// What stands before a text that has nothing before it.
TokenId PrefixToken(const tokenizer::Tokenizer& tokenizer) {
  const tokenizer::Vocabulary& vocabulary = tokenizer.vocabulary();
  if (vocabulary.bos) return *vocabulary.bos;
  if (vocabulary.eos) return *vocabulary.eos;
  throw ApiError(400, "an empty prompt needs a BOS or EOS token, and the vocabulary has neither",
                 "prompt");
}

}  // namespace

// BOS is fed where the vocabulary adds it, and not shown: clients count a text's tokens by what
// /tokenize says without special tokens, and place log-probabilities by that.
TextServer::FedPrompt TextServer::Feed(const Prompt& prompt, bool add_special) const {
  if (const auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) {
    return {tokenizer_.Decode(*ids, /*special=*/true), *ids, 0};
  }
  FedPrompt fed{std::get<std::string>(prompt), {}, 0};
  fed.ids = tokenizer_.Encode(fed.shown, {.add_special = false});
  const std::optional<TokenId> bos = tokenizer_.vocabulary().bos;
  const bool adds = add_special && tokenizer_.adds_bos() && bos;
  const bool has_bos = !fed.ids.empty() && bos && fed.ids.front() == *bos;
  if (fed.ids.empty() || (adds && !has_bos)) {
    fed.ids.insert(fed.ids.begin(), PrefixToken(tokenizer_));
    fed.hidden = 1;
  }
  return fed;
}

TextJob TextServer::MakeJob(const FedPrompt& prompt, const TextRequest& request,
                            size_t default_tokens, size_t draw) const {
  if (prompt.ids.size() > context_) {
    throw ApiError(400,
                   fmt::format("a prompt of {} tokens; the context has room for {}",
                               prompt.ids.size(), context_),
                   "prompt", "context_length_exceeded");
  }
  TextJob job{.prompt = prompt.ids, .options = request.options, .stream = request.stream};
  // The last token that is drawn is never read.
  const size_t room = context_ - prompt.ids.size() + 1;
  job.options.max_tokens = std::min(request.max_tokens.value_or(default_tokens), room);
  job.options.sampler.seed += draw;
  return job;
}

AnswerHead TextServer::MakeHead(const char* prefix) const {
  return {fmt::format("{}-{}", prefix, RandomName()), options_.model_name, std::time(nullptr)};
}

void TextServer::Start(const ExchangePtr& exchange, std::unique_ptr<const TextAnswer> answer,
                       const TextRequest& request, std::vector<TextCall::Part> parts) {
  TextCall::Options options{.stream = request.stream, .include_usage = request.include_usage};
  for (size_t i = 0; i < parts.size(); i += request.n) {
    options.prompt_tokens += parts[i].job.prompt.size();
  }
  if (parts.size() > runner_.room()) {
    throw ApiError(
        400, fmt::format("{} texts at once; the server takes {}", parts.size(), runner_.room()));
  }
  const auto call = std::make_shared<TextCall>(exchange, std::move(answer), options);
  if (!call->Start(std::move(parts), runner_, http_)) {
    throw ApiError(503, "the queue is full; try again", {}, "queue_full");
  }
  metrics_.CountPrompt(options.prompt_tokens);
}

// As a template writes it, with BOS where it leaves that to the tokenizer.
TextServer::FedPrompt TextServer::FeedChat(const ChatRequest& request) const {
  FedPrompt fed;
  fed.shown = engine::RenderChat(chat_template_, tokenizer_, request.messages,
                                 request.enable_thinking, request.tools);
  fed.ids = tokenizer_.Encode(fed.shown, {.add_special = false});
  const auto bos = tokenizer_.vocabulary().bos;
  if (tokenizer_.adds_bos() && (fed.ids.empty() || fed.ids[0] != *bos)) {
    fed.ids.insert(fed.ids.begin(), *bos);
  }
  if (fed.ids.empty()) {
    throw ApiError(400, "the chat template makes an empty prompt of these messages", "messages");
  }
  return fed;
}

void TextServer::PostChat(const ExchangePtr& exchange) {
  ChatRequest request = ReadChatRequest(exchange->request().body, options_.limits);
  CheckModel(request.text.model);
  if (!own_template_) request.text.options.stop_strings.emplace_back(kPlainStop);
  const FedPrompt fed = FeedChat(request);
  std::vector<TextCall::Part> parts;
  for (size_t draw = 0; draw < request.text.n; ++draw) {
    TextJob job = MakeJob(fed, request.text, options_.limits.max_tokens, draw);
    job.top = request.logprobs;
    parts.push_back({{.index = draw}, std::move(job)});
  }
  Start(exchange, MakeChatAnswer(MakeHead("chatcmpl"), tokenizer_, request.logprobs.has_value()),
        request.text, std::move(parts));
}

void TextServer::PostCompletions(const ExchangePtr& exchange) {
  const CompletionRequest request =
      ReadCompletionRequest(exchange->request().body, options_.limits, tokenizer_.size());
  CheckModel(request.text.model);
  std::vector<TextCall::Part> parts;
  for (const Prompt& prompt : request.prompts) {
    const FedPrompt fed = Feed(prompt, request.add_special_tokens);
    for (size_t draw = 0; draw < request.text.n; ++draw) {
      TextJob job = MakeJob(fed, request.text, kDefaultTokens, draw);
      job.top = request.logprobs;
      job.score_prompt = request.echo && request.logprobs;
      Choice choice{.index = parts.size(), .hidden = fed.hidden};
      if (request.echo) {
        choice.prompt = fed.shown;
        choice.prompt_ids.assign(fed.ids.begin() + static_cast<ptrdiff_t>(fed.hidden),
                                 fed.ids.end());
      }
      parts.push_back({std::move(choice), std::move(job)});
    }
  }
  Start(exchange,
        MakeCompletionAnswer(MakeHead("cmpl"), tokenizer_,
                             {.echo = request.echo, .logprobs = request.logprobs.has_value()}),
        request.text, std::move(parts));
}

}  // namespace crossover::serve
