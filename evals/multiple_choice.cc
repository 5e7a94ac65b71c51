#include "evals/multiple_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/model/vocabulary_rows.h"
#include "engine/run/log_softmax.h"
#include "engine/run/non_finite.h"
#include "engine/run/scheduler.h"
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

Answer ToAnswer(const std::vector<std::vector<TokenScore>>& choices) {
  Answer answer;
  for (const std::vector<TokenScore>& tokens : choices) {
    double sum = 0;
    bool greedy = true;
    for (const TokenScore& token : tokens) {
      sum += token.log_p;
      greedy = greedy && token.is_argmax;
    }
    answer.log_likelihood.push_back(sum);
    answer.greedy.push_back(greedy);
  }
  return answer;
}

// Each context is a request; when it is done its choices are, and begin with its pages.
class Scorer {
 public:
  Scorer(engine::Engine& engine, std::span<const EncodedChoices> items, const ScoreOptions& options)
      : engine_(engine),
        tokens_(engine::CountTokens(engine.model().file(), engine.model().config().vocab)),
        items_(items),
        options_(options),
        open_(items.size()),
        scheduler_(engine) {
    for (const EncodedChoices& item : items_) {
      auto& scores = scores_.emplace_back();
      for (const auto& continuation : item.continuations) {
        scores.emplace_back(continuation.size());
      }
    }
  }

  std::vector<std::vector<std::vector<TokenScore>>> Run() {
    for (size_t i = 0; i < items_.size(); ++i) SubmitContext(i);
    scheduler_.Run();
    return std::move(scores_);
  }

 private:
  void CheckFinite(size_t item, size_t k) const {
    const std::vector<TokenScore>& scores = scores_[item][k];
    if (std::all_of(scores.begin(), scores.end(),
                    [](const TokenScore& token) { return std::isfinite(token.log_p); })) {
      return;
    }
    std::vector<TokenId> tokens = items_[item].context;
    const std::vector<TokenId>& choice = items_[item].continuations[k];
    tokens.insert(tokens.end(), choice.begin(), choice.end() - 1);
    engine::ThrowNonFinite(engine_, tokens, fmt::format("item {}, choice {}", item + 1, k + 1));
  }

  TokenScore ScoreToken(const RowNormaliser& row, std::span<const float> logits,
                        TokenId token) const {
    return {LogProbability(row, logits, token),
            engine::LikeliestToken(row, logits, tokens_) == token};
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
    for (size_t k = 0; k < scores_[i].size(); ++k) CheckFinite(i, k);
    if (options_.on_answer) options_.on_answer(i, ToAnswer(scores_[i]));
    if (options_.progress) options_.progress(++done_, items_.size());
  }

  void CheckEnd(size_t i, engine::RequestEnd end) const {
    if (end == engine::RequestEnd::kFinished) return;
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("item {}: the KV cache has no room left for its {} tokens", i + 1,
                            Footprint(items_[i])));
  }

  const engine::Engine& engine_;
  const size_t tokens_;
  std::span<const EncodedChoices> items_;
  const ScoreOptions& options_;
  std::vector<std::vector<std::vector<TokenScore>>> scores_;  // [item][choice][token]
  std::vector<size_t> open_;                                  // requests of an item
  size_t done_ = 0;
  engine::Scheduler scheduler_;
};

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

size_t FitContexts(const engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                   std::span<EncodedChoices> items) {
  engine::CheckRows(engine.model(), tokenizer);
  const size_t context = engine.model().config().context;
  size_t cut = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const size_t longest = Longest(items[i]);
    if (longest >= context) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("item {}: a choice of {} tokens does not fit the model's context of {}",
                      i + 1, longest, context));
    }
    const size_t room = context + 1 - longest;
    if (TruncateLeft(items[i].context, room, tokenizer.adds_bos())) ++cut;
  }
  CheckRoom(engine, items);
  return cut;
}

std::vector<std::vector<std::vector<TokenScore>>> ScoreChoices(
    engine::Engine& engine, std::span<const EncodedChoices> items, const ScoreOptions& options) {
  return Scorer(engine, items, options).Run();
}

Scored ScoreMultipleChoice(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                           std::span<const MultipleChoiceItem> items, const ScoreOptions& options) {
  std::vector<EncodedChoices> encoded;
  for (const MultipleChoiceItem& item : items) {
    encoded.push_back(EncodeChoices(tokenizer, item.context, item.choices, options.parse_special));
  }
  Scored scored;
  scored.truncated = FitContexts(engine, tokenizer, encoded);
  for (const auto& choices : ScoreChoices(engine, encoded, options)) {
    scored.answers.push_back(ToAnswer(choices));
  }
  return scored;
}

}  // namespace crossover::evals
