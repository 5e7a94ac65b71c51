#include "engine/run/score.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "engine/run/engine.h"
#include "engine/run/log_softmax.h"
#include "engine/run/non_finite.h"
#include "engine/run/sequence.h"

namespace crossover::engine {

std::vector<double> Score(Engine& engine, std::span<const TokenId> context,
                          std::span<const TokenId> continuation) {
  if (context.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "a score needs at least one token before the text");
  }
  std::vector<double> scores;
  if (continuation.empty()) return scores;
  const ScopedSequence sequence(engine);
  Prefill(engine, sequence.id(), context.first(context.size() - 1));

  // Token i of what is fed predicts continuation[i]. Few rows at once: a vocabulary is long.
  constexpr size_t kRows = 64;
  std::vector<TokenId> fed{context.back()};
  fed.insert(fed.end(), continuation.begin(), continuation.end() - 1);
  const size_t step = std::min(kRows, engine.options().max_batch);
  for (size_t begin = 0; begin < fed.size(); begin += step) {
    const auto tokens = std::span(fed).subspan(begin, std::min(step, fed.size() - begin));
    const Chunk chunk{sequence.id(), tokens, 0};
    const Logits logits = engine.Forward({&chunk, 1});
    for (size_t i = 0; i < tokens.size(); ++i) {
      const RowNormaliser row = Normalise(logits.row(i));
      if (!row.finite) {
        std::vector<TokenId> all(context.begin(), context.end());
        all.insert(all.end(), continuation.begin(), continuation.end() - 1);
        ThrowNonFinite(engine, all, "scoring");
      }
      const auto token = static_cast<size_t>(continuation[begin + i]);
      if (token >= logits.vocab) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("token id {} is outside the vocabulary of {} tokens",
                                continuation[begin + i], logits.vocab));
      }
      scores.push_back(LogProbability(row, logits.row(i), continuation[begin + i]));
    }
  }
  return scores;
}

}  // namespace crossover::engine
