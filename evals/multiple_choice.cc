#include "evals/multiple_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/log_softmax.h"
#include "engine/scheduler.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

using engine::Normalise;
using engine::RowNormaliser;

size_t Longest(const EncodedChoices& item) {
  size_t longest = 0;
  for (const auto& continuation : item.continuations) {
    longest = std::max(longest, continuation.size());
  }
  return longest;
}

// The last token of a continuation is predicted, never fed.
size_t Footprint(const EncodedChoices& item) { return item.context.size() + Longest(item) - 1; }

// Each context is a request; when it is done its choices are, and begin with its pages.
class Scorer {
 public:
  Scorer(engine::Engine& engine, std::span<const EncodedChoices> items,
         const TaskProgress& progress)
      : items_(items), progress_(progress), open_(items.size()), scheduler_(engine) {
    for (const EncodedChoices& item : items_) {
      auto& scores = scores_.emplace_back();
      for (const auto& continuation : item.continuations) {
        scores.emplace_back(continuation.size());
      }
    }
  }

  void Run() {
    for (size_t i = 0; i < items_.size(); ++i) SubmitContext(i);
    scheduler_.Run();
  }

  /// Σ ln p of choice k's tokens.
  double LogLikelihood(size_t item, size_t k) const {
    double sum = 0;
    for (const TokenScore& token : scores_[item][k]) sum += token.log_p;
    if (std::isfinite(sum)) return sum;
    throw Error(ErrorCode::kNonFinite,
                fmt::format("item {}: the log-likelihood of choice {} is not finite: the model's "
                            "file is damaged or its values overflow",
                            item + 1, k));
  }

  /// Whether greedy decoding would say choice k.
  bool Greedy(size_t item, size_t k) const {
    const auto& tokens = scores_[item][k];
    return std::all_of(tokens.begin(), tokens.end(),
                       [](const TokenScore& token) { return token.is_argmax; });
  }

 private:
  struct TokenScore {
    double log_p = std::numeric_limits<double>::quiet_NaN();
    bool is_argmax = false;
  };
  static TokenScore ScoreToken(const RowNormaliser& row, std::span<const float> logits,
                               TokenId token) {
    return {LogProbability(row, logits, token), row.argmax == token};
  }

  // The context's last row predicts the first token of every choice.
  void SubmitContext(size_t i) {
    const auto& [context, continuations] = items_[i];
    open_[i] = 1;
    engine::Request request;
    request.tokens = context;
    request.on_row = [this, i](size_t, std::span<const float> logits) {
      const RowNormaliser row = Normalise(logits);
      if (!row.finite) return;
      for (size_t k = 0; k < items_[i].continuations.size(); ++k) {
        scores_[i][k][0] = ScoreToken(row, logits, items_[i].continuations[k][0]);
      }
    };
    request.on_end = [this, i](engine::RequestEnd end) {
      CheckEnd(i, end);
      for (size_t k = 0; k < items_[i].continuations.size(); ++k) SubmitRest(i, k);
      Close(i);
    };
    scheduler_.Submit(std::move(request));
  }

  // Before further contexts: as long as this one's pages are there.
  void SubmitRest(size_t i, size_t k) {
    const auto& [context, continuations] = items_[i];
    const std::vector<TokenId>& choice = continuations[k];
    if (choice.size() < 2) return;
    ++open_[i];
    engine::Request request;
    request.tokens = context;
    request.tokens.insert(request.tokens.end(), choice.begin(), choice.end() - 1);
    request.logits_from = context.size();
    request.priority = 1;
    request.on_row = [this, i, k](size_t position, std::span<const float> logits) {
      const RowNormaliser row = Normalise(logits);
      if (!row.finite) return;
      const size_t next = position - items_[i].context.size() + 1;
      scores_[i][k][next] = ScoreToken(row, logits, items_[i].continuations[k][next]);
    };
    request.on_end = [this, i](engine::RequestEnd end) {
      CheckEnd(i, end);
      Close(i);
    };
    scheduler_.Submit(std::move(request));
  }

  void Close(size_t i) {
    if (--open_[i] > 0) return;
    // Now rather than at the end: a damaged model should not run for long.
    for (size_t k = 0; k < scores_[i].size(); ++k) LogLikelihood(i, k);
    ++done_;
    if (progress_) progress_(done_, items_.size());
  }

  void CheckEnd(size_t i, engine::RequestEnd end) const {
    if (end == engine::RequestEnd::kFinished) return;
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("item {}: the KV cache has no room left for its {} tokens", i + 1,
                            Footprint(items_[i])));
  }

  std::span<const EncodedChoices> items_;
  const TaskProgress& progress_;
  std::vector<std::vector<std::vector<TokenScore>>> scores_;  // [item][choice][token]
  std::vector<size_t> open_;                                  // requests of an item
  size_t done_ = 0;
  engine::Scheduler scheduler_;
};

std::vector<EncodedChoices> EncodeAll(const engine::Engine& engine,
                                      const tokenizer::Tokenizer& tokenizer,
                                      const std::vector<MultipleChoiceItem>& items, size_t count,
                                      size_t fewshot, size_t& truncated) {
  std::vector<EncodedChoices> encoded;
  const size_t context = engine.model().config().context;
  for (size_t i = 0; i < count; ++i) {
    encoded.push_back(EncodeChoices(tokenizer, FewshotPrefix(items, i, fewshot) + items[i].context,
                                    items[i].choices));
    EncodedChoices& item = encoded.back();
    if (Longest(item) >= context) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("item {}: a choice of {} tokens does not fit the model's context of {}",
                      i + 1, Longest(item), context));
    }
    const size_t room = context + 1 - Longest(item);
    if (TruncateLeft(item.context, room, tokenizer.adds_bos())) ++truncated;
  }
  return encoded;
}

void CheckRoom(const engine::Engine& engine, std::span<const EncodedChoices> items) {
  const size_t room = engine.kv().pages() * engine.kv().layout().page_tokens;
  for (size_t i = 0; i < items.size(); ++i) {
    if (Footprint(items[i]) <= room) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("item {} needs a KV cache of {} tokens, which is more than there is",
                            i + 1, Footprint(items[i])));
  }
}

}  // namespace

void Choose(const MultipleChoiceItem& item, ItemResult& result) {
  std::vector<double> normalised;
  for (size_t k = 0; k < item.choices.size(); ++k) {
    const auto characters = static_cast<double>(Characters(item.choices[k]));
    normalised.push_back(result.log_likelihood[k] / characters);
  }
  const auto best = [](const std::vector<double>& v) {
    return static_cast<size_t>(std::max_element(v.begin(), v.end()) - v.begin());
  };
  result.chosen = best(result.log_likelihood);
  result.chosen_norm = best(normalised);
  result.correct = result.chosen == item.answer;
  result.correct_norm = result.chosen_norm == item.answer;
}

std::vector<ItemResult> ScoreMultipleChoice(engine::Engine& engine,
                                            const tokenizer::Tokenizer& tokenizer,
                                            const std::vector<MultipleChoiceItem>& items,
                                            const TaskOptions& options, size_t& truncated) {
  const size_t count = options.limit == 0 ? items.size() : std::min(options.limit, items.size());
  const auto encoded = EncodeAll(engine, tokenizer, items, count, options.fewshot, truncated);
  CheckRoom(engine, encoded);
  Scorer scorer(engine, encoded, options.progress);
  scorer.Run();
  std::vector<ItemResult> results(count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < items[i].choices.size(); ++k) {
      results[i].log_likelihood.push_back(scorer.LogLikelihood(i, k));
      results[i].greedy.push_back(scorer.Greedy(i, k));
    }
    Choose(items[i], results[i]);
  }
  return results;
}

}  // namespace crossover::evals
