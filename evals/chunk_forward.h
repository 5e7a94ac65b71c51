// Runs a model over the chunks of a plan and hands out the rows that are scored.
#pragma once

#include <functional>
#include <span>

#include "engine/run/engine.h"
#include "evals/perplexity.h"

namespace crossover::evals {

/// Consecutive scored rows of one chunk: row i predicts plan.Target(tokens, chunk, first_row + i).
struct ScoredRows {
  size_t chunk = 0;
  size_t first_row = 0;
  engine::Logits logits;
};

/// The same rows of several models.
struct ScoredRowsOfEach {
  size_t chunk = 0;
  size_t first_row = 0;
  std::span<const engine::Logits> logits;  // [models], as many rows each
};

/// Calls `consume` for all scored rows, chunk after chunk, in order. Several chunks share a pass as
/// sequences of their own where batch, cache and logits leave room; a chunk too large for one pass
/// is fed in even pieces. Error(kInvalidArgument) if the cache cannot hold one chunk.
void ForwardChunks(engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan,
                   const std::function<void(const ScoredRows&)>& consume);

/// With several models in step: only the rows of one pass are in memory, of each.
void ForwardChunks(std::span<engine::Engine* const> engines, std::span<const TokenId> tokens,
                   const ChunkPlan& plan,
                   const std::function<void(const ScoredRowsOfEach&)>& consume);

}  // namespace crossover::evals
