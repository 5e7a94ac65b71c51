#include "evals/chunk_forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/run/sequence.h"
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

using Engines = std::span<engine::Engine* const>;
using Consume = std::function<void(const ScoredRowsOfEach&)>;

void ForwardTogether(Engines engines, std::span<const TokenId> tokens, const ChunkPlan& plan,
                     size_t first_chunk, size_t count, const Consume& consume) {
  std::vector<std::vector<TokenId>> inputs;
  for (size_t i = 0; i < count; ++i) inputs.push_back(plan.Input(tokens, first_chunk + i));
  std::vector<engine::Logits> all;
  for (engine::Engine* const engine : engines) {
    std::vector<ScopedSequence> sequences;
    std::vector<engine::Chunk> batch;
    for (const auto& input : inputs) {
      sequences.emplace_back(*engine);
      batch.push_back({sequences.back().id(), input, plan.first});
    }
    all.push_back(engine->Forward(batch));
  }
  const size_t scored = plan.scored_per_chunk();
  for (size_t i = 0; i < count; ++i) {
    std::vector<engine::Logits> rows;
    for (const engine::Logits& logits : all) {
      rows.push_back({logits.data + i * scored * logits.vocab, scored, logits.vocab});
    }
    consume({first_chunk + i, 0, rows});
  }
}

// Even pieces: a short last one would take other kernels than the rest.
void ForwardInPieces(Engines engines, std::span<const TokenId> tokens, const ChunkPlan& plan,
                     size_t chunk, const Consume& consume) {
  const std::vector<TokenId> input = plan.Input(tokens, chunk);
  std::vector<ScopedSequence> sequences;
  size_t batch = SIZE_MAX;
  for (engine::Engine* const engine : engines) {
    sequences.emplace_back(*engine);
    batch = std::min(batch, engine->options().max_batch);
  }
  const auto feed = [&](size_t begin, size_t end, size_t limit, bool scored) {
    const size_t pieces = CeilDiv(end - begin, limit);
    for (size_t p = 0; p < pieces; ++p) {
      const size_t from = begin + (end - begin) * p / pieces;
      const size_t to = begin + (end - begin) * (p + 1) / pieces;
      ThrowIfInterrupted();
      std::vector<engine::Logits> logits;
      for (size_t e = 0; e < engines.size(); ++e) {
        const engine::Chunk piece = {sequences[e].id(), std::span(input).subspan(from, to - from),
                                     scored ? 0 : to - from};
        logits.push_back(engines[e]->Forward({&piece, 1}));
      }
      if (scored) consume({chunk, from - begin, logits});
    }
  };
  const size_t rows = MaxLogitRows(engines[0]->model().config().vocab);
  feed(0, plan.first, batch, false);
  feed(plan.first, input.size(), std::min(batch, rows), true);
}

}  // namespace

void ForwardChunks(Engines engines, std::span<const TokenId> tokens, const ChunkPlan& plan,
                   const Consume& consume) {
  size_t together = SIZE_MAX;
  for (const engine::Engine* engine : engines) {
    together = std::min(together, ChunksPerPass(*engine, plan));
  }
  if (together == 0) {
    for (size_t c = 0; c < plan.chunks; ++c) ForwardInPieces(engines, tokens, plan, c, consume);
    return;
  }
  const size_t passes = CeilDiv(plan.chunks, together);
  for (size_t p = 0; p < passes; ++p) {
    const size_t from = plan.chunks * p / passes;
    const size_t to = plan.chunks * (p + 1) / passes;
    ThrowIfInterrupted();
    ForwardTogether(engines, tokens, plan, from, to - from, consume);
  }
}

void ForwardChunks(engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan,
                   const std::function<void(const ScoredRows&)>& consume) {
  engine::Engine* const engines[] = {&engine};
  ForwardChunks(engines, tokens, plan, [&](const ScoredRowsOfEach& rows) {
    consume({rows.chunk, rows.first_row, rows.logits[0]});
  });
}

}  // namespace crossover::evals
