// Kullback-Leibler divergence of a model from a saved base, token by token:
// D(P‖Q) = Σ_k p_k (ln p_k - ln q_k), P the file's distribution, Q the model under test.
#pragma once

#include <filesystem>
#include <span>

#include "engine/engine.h"
#include "engine/log_softmax.h"
#include "evals/kl_file.h"
#include "evals/perplexity.h"
#include "evals/statistics.h"

namespace crossover::evals {

struct KlDivergenceResult {
  PerplexityResult perplexity;  // of the model under test, from its float32 logits
  /// Of the base as the file tells it: too small where a target lies more than 16 nats below the
  /// best token, because the file's format clamps there.
  Estimate base_ppl;
  Estimate kld;        // mean over tokens
  double kld_max = 0;  // over tokens
  Estimate same_top;   // share of tokens where both models rank the same token first
  size_t tokens = 0;
};

struct KlDivergenceOptions {
  size_t chunks = 0;  // at most so many of the file's; 0: all
  PerplexityProgress progress{};
};

/// What one scored row contributes.
struct KlRow {
  double nll = 0;       // of the target under the model
  double base_nll = 0;  // under the file
  double kld = 0;
  bool same_top = false;
};

/// `row` is Normalise(logits) and finite; `base` has logits.size() entries. Terms with
/// ln p_k ≤ -16 are left out: the file does not know them.
KlRow CompareRow(std::span<const float> logits, const RowNormaliser& row, const KlRecord& base,
                 TokenId target);

/// Runs the model over the tokens that the file `base` carries (written by `--kl-save` or by
/// llama-perplexity). Error(kCorruptFile) for a truncated or contradictory file,
/// Error(kInvalidArgument) if its vocabulary is not the model's.
KlDivergenceResult KlDivergence(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                const std::filesystem::path& base,
                                const KlDivergenceOptions& options = {});

}  // namespace crossover::evals
