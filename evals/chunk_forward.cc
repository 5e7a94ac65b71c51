#include "evals/chunk_forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/sequence.h"
#include "evals/capacity.h"

namespace crossover::evals {
namespace {

using engine::ScopedSequence;

size_t CeilDiv(size_t a, size_t b) { return (a + b - 1) / b; }

// How many chunks fit one pass; 0 if not even one does.
size_t ChunksPerPass(const engine::Engine& engine, const ChunkPlan& plan) {
  const size_t input = plan.context - 1;
  const size_t page = engine.kv().layout().page_tokens;
  const size_t cached = engine.kv().available_pages() / CeilDiv(input, page);
  if (cached == 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("a chunk of {} tokens does not fit the KV cache, which has {} pages of {} "
                    "tokens free; choose a smaller context",
                    plan.context, engine.kv().available_pages(), page));
  }
  const size_t batched = engine.options().max_batch / input;
  const size_t rows = MaxLogitRows(engine.model().config().vocab) / plan.scored_per_chunk();
  return std::min({cached, batched, rows, plan.chunks});
}

void ForwardTogether(engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan,
                     size_t first_chunk, size_t count,
                     const std::function<void(const ScoredRows&)>& consume) {
  std::vector<ScopedSequence> sequences;
  std::vector<std::vector<TokenId>> inputs;
  std::vector<engine::Chunk> batch;
  for (size_t i = 0; i < count; ++i) {
    sequences.emplace_back(engine);
    inputs.push_back(plan.Input(tokens, first_chunk + i));
    batch.push_back({sequences.back().id(), inputs.back(), plan.first});
  }
  const engine::Logits logits = engine.Forward(batch);
  const size_t scored = plan.scored_per_chunk();
  for (size_t i = 0; i < count; ++i) {
    consume({first_chunk + i, 0, {logits.data + i * scored * logits.vocab, scored, logits.vocab}});
  }
}

// Even pieces: a short last one would take other kernels than the rest.
void ForwardInPieces(engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan,
                     size_t chunk, const std::function<void(const ScoredRows&)>& consume) {
  const std::vector<TokenId> input = plan.Input(tokens, chunk);
  const ScopedSequence sequence(engine);
  const auto feed = [&](size_t begin, size_t end, size_t limit, bool scored) {
    const size_t pieces = CeilDiv(end - begin, limit);
    for (size_t p = 0; p < pieces; ++p) {
      const size_t from = begin + (end - begin) * p / pieces;
      const size_t to = begin + (end - begin) * (p + 1) / pieces;
      ThrowIfInterrupted();
      const engine::Chunk piece = {sequence.id(), std::span(input).subspan(from, to - from),
                                   scored ? 0 : to - from};
      const engine::Logits logits = engine.Forward({&piece, 1});
      if (scored) consume({chunk, from - begin, logits});
    }
  };
  const size_t batch = engine.options().max_batch;
  feed(0, plan.first, batch, false);
  feed(plan.first, input.size(), std::min(batch, MaxLogitRows(engine.model().config().vocab)),
       true);
}

}  // namespace

void ForwardChunks(engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan,
                   const std::function<void(const ScoredRows&)>& consume) {
  const size_t together = ChunksPerPass(engine, plan);
  if (together == 0) {
    for (size_t c = 0; c < plan.chunks; ++c) ForwardInPieces(engine, tokens, plan, c, consume);
    return;
  }
  const size_t passes = CeilDiv(plan.chunks, together);
  for (size_t p = 0; p < passes; ++p) {
    const size_t from = plan.chunks * p / passes;
    const size_t to = plan.chunks * (p + 1) / passes;
    ThrowIfInterrupted();
    ForwardTogether(engine, tokens, plan, from, to - from, consume);
  }
}

}  // namespace crossover::evals
