#include <memory>
#include <utility>

#include "engine/model/vocabulary_rows.h"
#include "engine/run/engine.h"
#include "engine/run/generate.h"
#include "engine/run/generation.h"
#include "engine/run/scheduler.h"

namespace crossover::engine {

std::vector<GenerateResult> GenerateAll(
    Engine& engine, const tokenizer::Tokenizer& tokenizer,
    std::span<const GenerateRequest> requests, size_t parallel,
    const std::function<void(size_t request, const GenerateResult& result)>& on_end) {
  CheckRows(engine.model(), tokenizer);
  std::vector<GenerateResult> results(requests.size());
  Scheduler scheduler(engine, {.max_sequences = parallel});
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto generation =
        std::make_shared<Generation>(tokenizer, requests[i].prompt, requests[i].options);
    Request request;
    request.tokens = requests[i].prompt;
    request.on_row = [generation](size_t, std::span<const float> logits) {
      generation->Choose(logits);
    };
    request.next = [&engine, generation, &prompt = requests[i].prompt] {
      return generation->Advance(engine, prompt);
    };
    request.on_end = [&, generation, i](RequestEnd end) {
      const bool full = end == RequestEnd::kOutOfMemory;
      results[i] =
          generation->Finish(full ? std::optional(GenerateEnd::kOutOfMemory) : std::nullopt);
      if (on_end) on_end(i, results[i]);
    };
    scheduler.Submit(std::move(request));
  }
  scheduler.Run();
  return results;
}

std::vector<GenerateResult> GenerateAll(
    Engine& engine, const tokenizer::Tokenizer& tokenizer,
    std::span<const std::vector<TokenId>> prompts, const GenerateOptions& options, size_t parallel,
    const std::function<void(size_t prompt, const GenerateResult& result)>& on_end) {
  GenerateOptions silent = options;
  silent.on_text = {};
  std::vector<GenerateRequest> requests;
  for (const auto& prompt : prompts) requests.push_back({prompt, silent});
  return GenerateAll(engine, tokenizer, requests, parallel, on_end);
}

}  // namespace crossover::engine
