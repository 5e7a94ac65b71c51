#include "evals/generation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

engine::GenerateRequest ToRequest(const engine::Engine& engine,
                                  const tokenizer::Tokenizer& tokenizer,
                                  const GenerationRequest& item, bool parse_special,
                                  Scored& scored) {
  const size_t capacity = engine.kv().pages() * engine.kv().layout().page_tokens;
  const size_t context = std::min(engine.model().config().context, capacity);
  engine::GenerateRequest request;
  request.prompt = EncodePrompt(tokenizer, item.prompt, parse_special);
  const size_t room = context - std::min(item.max_tokens, context / 2);
  if (TruncateLeft(request.prompt, room, tokenizer.adds_bos())) ++scored.truncated;
  request.options.max_tokens = std::min(item.max_tokens, context - request.prompt.size());
  if (request.options.max_tokens < item.max_tokens) ++scored.shortened;
  request.options.sampler.temperature = 0;
  request.options.stop_strings = item.until;
  if (item.goes_on) {
    request.options.on_text = [&item, so_far = std::string()](const std::string& more) mutable {
      return item.goes_on(so_far += more);
    };
  }
  return request;
}

}  // namespace

Scored Generate(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                std::span<const GenerationRequest> items, const ScoreOptions& options) {
  Scored scored;
  scored.answers.resize(items.size());
  std::vector<engine::GenerateRequest> requests;
  for (const GenerationRequest& item : items) {
    requests.push_back(ToRequest(engine, tokenizer, item, options.parse_special, scored));
  }
  size_t done = 0;
  const auto on_end = [&](size_t i, const engine::GenerateResult& result) {
    if (result.end == engine::GenerateEnd::kOutOfMemory) {
      throw Error(ErrorCode::kOutOfMemory,
                  fmt::format("item {}: the KV cache has no room left", i + 1));
    }
    scored.answers[i].generated = result.text;
    if (options.on_answer) options.on_answer(i, scored.answers[i]);
    if (options.progress) options.progress(++done, items.size());
  };
  GenerateAll(engine, tokenizer, requests, kGenerationLanes, on_end);
  return scored;
}

}  // namespace crossover::evals
