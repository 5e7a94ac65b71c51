// Kullback-Leibler divergence of a model from a base, token by token:
// D(P‖Q) = Σ_k p_k (ln p_k - ln q_k), P the base's distribution, Q that of the model under test.
// The base is a second model, run beside the first, or a file of its rows.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "engine/run/engine.h"
#include "engine/run/log_softmax.h"
#include "evals/kl_file.h"
#include "evals/perplexity.h"
#include "evals/statistics.h"

namespace crossover::evals {

/// A figure over tokens of which the share `fraction` is smaller; 0 and 1: minimum and maximum.
struct Percentile {
  double fraction = 0;
  double value = 0;
};

struct KlDivergenceResult {
  PerplexityResult perplexity;  // of the model under test, from its float32 logits
  /// Of the base. From a file in llama-perplexity's format it is too small where a target lies more
  /// than 16 nats below the best token, because the format clamps there.
  PerplexityResult base;
  PairedPerplexity paired;
  Estimate kld;                             // mean over tokens
  double kld_max = 0;                       // over tokens
  std::vector<Percentile> kld_percentiles;  // largest first
  Estimate delta_p;                         // q - p of the text's own token
  Estimate delta_p_rms;                     // sqrt of its mean square
  std::vector<Percentile> delta_p_percentiles;
  Estimate same_top;  // share of tokens where both models rank the same token first
  size_t tokens = 0;
};

struct KlDivergenceOptions {
  size_t chunks = 0;  // at most so many of the file's; 0: all
  PerplexityProgress progress{};
};

/// What one scored row contributes.
struct KlRow {
  double nll = 0;       // of the target under the model
  double base_nll = 0;  // under the base
  double kld = 0;
  bool same_top = false;
};

/// `row` is Normalise(logits) and finite; `base` has logits.size() entries. Terms with
/// ln p_k ≤ -16 are left out: the file does not know them.
KlRow CompareRow(std::span<const float> logits, const RowNormaliser& row, const KlRecord& base,
                 TokenId target);

/// With all terms, from the base's own logits; `base_row` is Normalise(base) and finite.
KlRow CompareRow(std::span<const float> logits, const RowNormaliser& row,
                 std::span<const float> base, const RowNormaliser& base_row, TokenId target);

/// Runs the model over the tokens that the file `base` carries (written by `--kl-save` or by
/// llama-perplexity). Error(kCorruptFile) for a truncated or contradictory file,
/// Error(kInvalidArgument) if its vocabulary is not the model's.
KlDivergenceResult KlDivergence(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                const std::filesystem::path& base,
                                const KlDivergenceOptions& options = {});

/// Runs both models over the text, chunk by chunk; beside the models memory holds the logits of one
/// pass of each. Error(kInvalidArgument) if their vocabularies are of different sizes.
KlDivergenceResult KlDivergence(engine::Engine& engine, engine::Engine& base,
                                const tokenizer::Tokenizer& tokenizer, std::string_view text,
                                const PerplexityOptions& options = {});

}  // namespace crossover::evals
