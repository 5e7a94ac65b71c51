#include "evals/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "engine/log_softmax.h"
#include "engine/non_finite.h"
#include "engine/scheduler.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

using engine::FindExtremes;
using engine::RowExtremes;

// An item on its way.
struct Lane {
  std::vector<TokenId> fed = {};  // the prompt and what was generated
  std::string text = {};
  size_t tokens_left = 0;            // may still be generated
  std::optional<TokenId> best = {};  // of the last row
};

class Decoder {
 public:
  Decoder(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
          const std::vector<GenerationItem>& items, size_t count, const TaskOptions& options)
      : engine_(engine),
        tokenizer_(tokenizer),
        items_(items),
        options_(options),
        results_(count),
        lanes_(count),
        scheduler_(engine, {.max_sequences = kGenerationLanes}) {}

  std::vector<ItemResult> Run() {
    for (size_t i = 0; i < results_.size(); ++i) Submit(i);
    scheduler_.Run();
    return std::move(results_);
  }

  size_t truncated() const { return truncated_; }

 private:
  void Submit(size_t index) {
    engine::Request request;
    request.tokens = Prompt(index);
    request.on_row = [this, index](size_t, std::span<const float> logits) {
      const RowExtremes row = FindExtremes(logits);
      lanes_[index].best = row.finite ? std::optional(row.argmax) : std::nullopt;
    };
    request.next = [this, index] { return Next(index); };
    request.on_end = [this, index](engine::RequestEnd end) {
      if (end != engine::RequestEnd::kFinished) {
        throw Error(ErrorCode::kOutOfMemory,
                    fmt::format("item {}: the KV cache has no room left", index + 1));
      }
      if (options_.progress) options_.progress(++done_, results_.size());
    };
    scheduler_.Submit(std::move(request));
  }

  std::vector<TokenId> Prompt(size_t index) {
    const GenerationItem& item = items_[index];
    const std::string prompt = FewshotPrefix(items_, index, options_.fewshot) + item.prompt;
    std::vector<TokenId> tokens = EncodePrompt(tokenizer_, prompt);
    // The answer's tokens, a leading space and the end of the line.
    const size_t expected = tokenizer_.Encode(item.answer, {.add_special = false}).size() + 4;
    const size_t new_tokens = std::max(options_.max_new_tokens, expected);
    const size_t context = engine_.model().config().context;
    if (new_tokens >= context) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("item {}: {} new tokens leave no room for a prompt in a context of {}",
                      index + 1, new_tokens, context));
    }
    if (TruncateLeft(tokens, context - new_tokens, tokenizer_.adds_bos())) ++truncated_;
    const size_t footprint = tokens.size() + new_tokens;
    if (footprint > engine_.kv().pages() * engine_.kv().layout().page_tokens) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("item {} needs a KV cache of {} tokens, which is more than there is",
                              index + 1, footprint));
    }
    lanes_[index].tokens_left = new_tokens;
    lanes_[index].fed = tokens;
    return tokens;
  }

  // The token to go on with, unless the item's outcome is known.
  std::optional<TokenId> Next(size_t index) {
    Lane& lane = lanes_[index];
    if (!lane.best) {
      engine::ThrowNonFinite(engine_, lane.fed, fmt::format("item {}", index + 1));
    }
    const TokenId token = *lane.best;
    const std::string& answer = items_[index].answer;
    bool ended = tokenizer_.IsEndOfGeneration(token) || --lane.tokens_left == 0;
    if (!tokenizer_.IsEndOfGeneration(token)) lane.text += tokenizer_.Decode(token);
    if (const size_t line = lane.text.find('\n'); line != std::string::npos) {
      lane.text.resize(line);
      ended = true;
    }
    const bool hopeless = !options_.whole_answers && !CanStillMatch(lane.text, answer);
    lane.fed.push_back(token);
    if (!ended && !hopeless) return token;
    results_[index].generated = Trim(lane.text);
    results_[index].correct = results_[index].generated == Trim(answer);
    return std::nullopt;
  }

  engine::Engine& engine_;
  const tokenizer::Tokenizer& tokenizer_;
  const std::vector<GenerationItem>& items_;
  const TaskOptions& options_;
  std::vector<ItemResult> results_;
  std::vector<Lane> lanes_;
  size_t truncated_ = 0;
  size_t done_ = 0;
  engine::Scheduler scheduler_;
};

}  // namespace

std::vector<ItemResult> ScoreGeneration(engine::Engine& engine,
                                        const tokenizer::Tokenizer& tokenizer,
                                        const std::vector<GenerationItem>& items,
                                        const TaskOptions& options, size_t& truncated) {
  const size_t count = options.limit == 0 ? items.size() : std::min(options.limit, items.size());
  Decoder decoder(engine, tokenizer, items, count, options);
  std::vector<ItemResult> results = decoder.Run();
  truncated = decoder.truncated();
  return results;
}

}  // namespace crossover::evals
