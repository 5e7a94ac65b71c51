#include "evals/multiple_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/log_softmax.h"
#include "evals/capacity.h"
#include "evals/pass_runner.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

using engine::Normalise;
using engine::RowNormaliser;

constexpr size_t kGroupItems = 64;

size_t Longest(const EncodedChoices& item) {
  size_t longest = 0;
  for (const auto& continuation : item.continuations) {
    longest = std::max(longest, continuation.size());
  }
  return longest;
}

// The last token of a continuation is predicted, never fed.
size_t Footprint(const EncodedChoices& item) { return item.context.size() + Longest(item) - 1; }

// Items that are in the cache together: each context is fed once, then all first choices, all
// second ones, and so on.
class Group {
 public:
  Group(engine::Engine& engine, std::span<const EncodedChoices> items, size_t first_index)
      : engine_(engine), items_(items), first_index_(first_index) {
    for (const EncodedChoices& item : items_) {
      sequences_.emplace_back(engine);
      auto& scores = scores_.emplace_back();
      for (const auto& continuation : item.continuations) {
        scores.emplace_back(continuation.size());
      }
    }
  }

  void Score(PassRunner& runner) {
    ScoreFirstTokens(runner);
    size_t most = 0;
    for (const EncodedChoices& item : items_) most = std::max(most, item.continuations.size());
    for (size_t k = 0; k < most; ++k) ScoreRest(runner, k);
  }

  /// Σ ln p of choice k's tokens.
  double LogLikelihood(size_t item, size_t k) const {
    double sum = 0;
    for (const TokenScore& token : scores_[item][k]) sum += token.log_p;
    if (std::isfinite(sum)) return sum;
    throw Error(ErrorCode::kNonFinite,
                fmt::format("item {}: the log-likelihood of choice {} is not finite: the model's "
                            "file is damaged or its values overflow",
                            first_index_ + item + 1, k));
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
  void ScoreFirstTokens(PassRunner& runner) {
    std::vector<Segment> contexts;
    for (size_t i = 0; i < items_.size(); ++i) {
      const auto& context = items_[i].context;
      contexts.push_back({sequences_[i].id(), context, context.size() - 1});
    }
    runner.Run(contexts, [&](size_t i, size_t, std::span<const float> logits) {
      const RowNormaliser row = Normalise(logits);
      if (!row.finite) return;
      for (size_t k = 0; k < items_[i].continuations.size(); ++k) {
        scores_[i][k][0] = ScoreToken(row, logits, items_[i].continuations[k][0]);
      }
    });
  }

  void ScoreRest(PassRunner& runner, size_t k) {
    std::vector<Segment> segments;
    std::vector<size_t> owners;
    for (size_t i = 0; i < items_.size(); ++i) {
      if (k >= items_[i].continuations.size() || items_[i].continuations[k].size() < 2) continue;
      const std::span<const TokenId> tokens = items_[i].continuations[k];
      segments.push_back({sequences_[i].id(), tokens.first(tokens.size() - 1), 0});
      owners.push_back(i);
    }
    runner.Run(segments, [&](size_t s, size_t token, std::span<const float> logits) {
      const size_t i = owners[s];
      const RowNormaliser row = Normalise(logits);
      if (!row.finite) return;
      scores_[i][k][token + 1] = ScoreToken(row, logits, items_[i].continuations[k][token + 1]);
    });
    for (const size_t i : owners) engine_.Truncate(sequences_[i].id(), items_[i].context.size());
  }

  engine::Engine& engine_;
  std::span<const EncodedChoices> items_;
  size_t first_index_;
  std::vector<ScopedSequence> sequences_;
  std::vector<std::vector<std::vector<TokenScore>>> scores_;  // [item][choice][token]
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

// How many items from `first` on fit the cache together.
size_t GroupSize(const engine::Engine& engine, std::span<const EncodedChoices> items,
                 size_t first) {
  size_t count = 0;
  size_t tokens = PassRunner::kReservedTokens;
  while (count < kGroupItems && first + count < items.size()) {
    tokens += Footprint(items[first + count]);
    // One more for the fillers' sequence.
    if (tokens > FreeTokens(engine, count + 2)) break;
    ++count;
  }
  if (count > 0) return count;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("item {} needs a KV cache of {} tokens, which is more than there is",
                          first + 1, Footprint(items[first])));
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
  std::vector<ItemResult> results(count);
  PassRunner runner(engine);
  for (size_t first = 0; first < count;) {
    const size_t size = GroupSize(engine, encoded, first);
    Group group(engine, std::span(encoded).subspan(first, size), first);
    group.Score(runner);
    for (size_t i = 0; i < size; ++i) {
      ItemResult& result = results[first + i];
      for (size_t k = 0; k < items[first + i].choices.size(); ++k) {
        result.log_likelihood.push_back(group.LogLikelihood(i, k));
        result.greedy.push_back(group.Greedy(i, k));
      }
      Choose(items[first + i], result);
    }
    first += size;
    if (options.progress) options.progress(first, count);
  }
  return results;
}

}  // namespace crossover::evals
