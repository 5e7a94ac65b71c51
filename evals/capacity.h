// How large an engine's cache and batches should be for evaluation.
#pragma once

#include "engine/run/engine.h"

namespace crossover::evals {

inline constexpr size_t kDefaultContext = 512;

/// `base` with kv_capacity and max_batch set so that perplexity with `context` tokens a chunk and
/// the tasks both have room to work on several sequences at once. It is deterministic: with
/// Activations::kAuto all passes, however few their tokens, take the kernels that are fastest for
/// many.
engine::EngineOptions EvaluationEngineOptions(engine::EngineOptions base,
                                              const engine::ModelConfig& model,
                                              size_t context = kDefaultContext);

/// Rows of logits that one forward pass may return, so that they stay within a few tens of MiB.
size_t MaxLogitRows(size_t vocab);

}  // namespace crossover::evals
