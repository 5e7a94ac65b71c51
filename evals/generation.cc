#include "evals/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "engine/log_softmax.h"
#include "evals/capacity.h"
#include "evals/pass_runner.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

using engine::FindExtremes;
using engine::RowExtremes;

// An item on its way.
struct Lane {
  size_t item;
  ScopedSequence sequence;
  std::vector<TokenId> next;  // to be fed: the prompt, then one token at a time
  std::string text;
  size_t tokens_left;  // may still be generated
  size_t footprint;    // cache tokens at most
};

class Decoder {
 public:
  Decoder(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
          const std::vector<GenerationItem>& items, size_t count, const TaskOptions& options)
      : engine_(engine),
        tokenizer_(tokenizer),
        items_(items),
        options_(options),
        runner_(engine),
        capacity_(FreeTokens(engine, kGenerationLanes + 2)),
        results_(count) {}

  std::vector<ItemResult> Run() {
    size_t done = 0;
    while (done < results_.size()) {
      Refill();
      Step();
      const size_t finished = std::erase_if(lanes_, [&](Lane& lane) { return Finish(lane); });
      done += finished;
      if (finished > 0 && options_.progress) options_.progress(done, results_.size());
    }
    return std::move(results_);
  }

  size_t truncated() const { return truncated_; }

 private:
  // Takes items in order while there is a lane and cache for the longest answer.
  void Refill() {
    while (lanes_.size() < kGenerationLanes && started_ < results_.size()) {
      if (!prepared_) prepared_ = Prepare(started_);
      size_t used = PassRunner::kReservedTokens + prepared_->footprint;
      for (const Lane& lane : lanes_) used += lane.footprint;
      if (used > capacity_) break;
      lanes_.push_back(std::move(*prepared_));
      prepared_.reset();
      ++started_;
    }
  }

  Lane Prepare(size_t index) {
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
    if (footprint + PassRunner::kReservedTokens > capacity_) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("item {} needs a KV cache of {} tokens, which is more than there is",
                              index + 1, footprint));
    }
    return {index, ScopedSequence(engine_), std::move(tokens), {}, new_tokens, footprint};
  }

  void Step() {
    std::vector<Segment> segments;
    for (const Lane& lane : lanes_) {
      segments.push_back({lane.sequence.id(), lane.next, lane.next.size() - 1});
    }
    std::vector<std::optional<TokenId>> best(lanes_.size());
    runner_.Run(segments, [&](size_t lane, size_t, std::span<const float> logits) {
      const RowExtremes row = FindExtremes(logits);
      if (row.finite) best[lane] = row.argmax;
    });
    for (size_t i = 0; i < lanes_.size(); ++i) {
      if (!best[i]) {
        throw Error(ErrorCode::kNonFinite,
                    fmt::format("item {}: the model's logits are not finite: its file is damaged "
                                "or its values overflow",
                                lanes_[i].item + 1));
      }
      lanes_[i].next.assign(1, *best[i]);
    }
  }

  // Takes the lane's new token; true once the item's outcome is known.
  bool Finish(Lane& lane) {
    ItemResult& result = results_[lane.item];
    const std::string& answer = items_[lane.item].answer;
    const TokenId token = lane.next[0];
    bool ended = tokenizer_.IsEndOfGeneration(token) || --lane.tokens_left == 0;
    if (!tokenizer_.IsEndOfGeneration(token)) lane.text += tokenizer_.Decode(token);
    if (const size_t line = lane.text.find('\n'); line != std::string::npos) {
      lane.text.resize(line);
      ended = true;
    }
    const bool hopeless = !options_.whole_answers && !CanStillMatch(lane.text, answer);
    if (!ended && !hopeless) return false;
    result.generated = Trim(lane.text);
    result.correct = result.generated == Trim(answer);
    return true;
  }

  engine::Engine& engine_;
  const tokenizer::Tokenizer& tokenizer_;
  const std::vector<GenerationItem>& items_;
  const TaskOptions& options_;
  PassRunner runner_;
  size_t capacity_;
  std::vector<ItemResult> results_;
  std::vector<Lane> lanes_;
  std::optional<Lane> prepared_;
  size_t started_ = 0;
  size_t truncated_ = 0;
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
