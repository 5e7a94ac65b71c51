#include "serve/batch/token_score.h"

#include <algorithm>
#include <limits>

#include "engine/model/vocabulary_rows.h"
#include "engine/run/log_softmax.h"

namespace crossover::serve {
namespace {

// A heap of the best so far, the worst of them on top: nearly all logits are compared once.
std::vector<TokenId> Likeliest(std::span<const float> logits, size_t count) {
  const auto better = [&](TokenId a, TokenId b) {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::vector<TokenId> best;
  for (size_t i = 0; i < logits.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (best.size() == count) {
      if (!better(id, best.front())) continue;
      std::pop_heap(best.begin(), best.end(), better);
      best.back() = id;
    } else {
      best.push_back(id);
    }
    std::push_heap(best.begin(), best.end(), better);
  }
  std::sort_heap(best.begin(), best.end(), better);
  return best;
}

}  // namespace

TokenScore ScoreToken(std::span<const float> logits, size_t tokens, TokenId token, size_t top) {
  const engine::RowNormaliser row = engine::Normalise(logits);
  TokenScore score{token, std::numeric_limits<double>::quiet_NaN(), {}};
  if (!row.finite) return score;
  score.log_p = engine::LogProbability(row, logits, token);
  if (top == 1) {
    const TokenId best = engine::LikeliestToken(row, logits, tokens);
    score.top.push_back({best, engine::LogProbability(row, logits, best)});
  } else if (top > 1) {
    for (const TokenId id : Likeliest(logits.first(std::min(tokens, logits.size())), top)) {
      score.top.push_back({id, engine::LogProbability(row, logits, id)});
    }
  }
  return score;
}

}  // namespace crossover::serve
