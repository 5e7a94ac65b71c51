#include "evals/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "engine/log_softmax.h"
#include "evals/chunk_forward.h"
#include "evals/kl_file.h"

namespace crossover::evals {
namespace {

using engine::Normalise;
using engine::RowNormaliser;

// ln-likelihoods of the targets, negated, [chunks][scored_per_chunk].
class NllSink {
 public:
  NllSink(std::span<const TokenId> tokens, const ChunkPlan& plan, size_t threads)
      : tokens_(tokens),
        plan_(plan),
        threads_(threads),
        nll_(plan.chunks * plan.scored_per_chunk()) {}

  void Consume(const ScoredRows& rows, KlBaseWriter* writer) {
    const size_t base = rows.chunk * plan_.scored_per_chunk() + rows.first_row;
    if (writer != nullptr) writer->BeginRows(rows.logits.rows);
#pragma omp parallel for num_threads(static_cast <int>(threads_)) schedule(static)
    for (size_t i = 0; i < rows.logits.rows; ++i) {
      const std::span<const float> logits = rows.logits.row(i);
      const RowNormaliser row = Normalise(logits);
      const TokenId target = plan_.Target(tokens_, rows.chunk, rows.first_row + i);
      nll_[base + i] = row.finite ? -LogProbability(row, logits, target)
                                  : std::numeric_limits<double>::quiet_NaN();
      if (writer != nullptr && row.finite) writer->SetRow(i, logits, row);
    }
    for (size_t i = 0; i < rows.logits.rows; ++i) Check(rows, i, nll_[base + i]);
    if (writer != nullptr) writer->WriteRows();
  }

  std::span<const double> nll() const { return nll_; }

 private:
  void Check(const ScoredRows& rows, size_t i, double nll) const {
    if (!std::isnan(nll)) return;
    throw Error(ErrorCode::kNonFinite,
                fmt::format("the model's logits are not finite at chunk {}, position {}: the file "
                            "is damaged or its values overflow",
                            rows.chunk + 1, plan_.first + rows.first_row + i));
  }

  std::span<const TokenId> tokens_;
  const ChunkPlan& plan_;
  size_t threads_;
  std::vector<double> nll_;
};

void CheckVocabulary(const engine::Engine& engine, const tokenizer::Tokenizer& tokenizer) {
  if (tokenizer.size() > engine.model().config().vocab) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the tokenizer has {} tokens but the model's logits only {}",
                            tokenizer.size(), engine.model().config().vocab));
  }
}

double BlockStandardError(std::span<const double> chunk_means, double mean) {
  const double n = static_cast<double>(chunk_means.size());
  if (chunk_means.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  double squares = 0;
  for (const double m : chunk_means) squares += (m - mean) * (m - mean);
  return std::sqrt(squares / (n - 1) / n);
}

}  // namespace

std::vector<TokenId> ChunkPlan::Input(std::span<const TokenId> tokens, size_t chunk) const {
  const auto part = tokens.subspan(chunk * context, context - 1);
  std::vector<TokenId> input(part.begin(), part.end());
  if (replace_by_bos) input[0] = bos;
  return input;
}

std::vector<TokenId> TokenizeForPerplexity(const tokenizer::Tokenizer& tokenizer,
                                           std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (tokenizer.adds_eos()) {
    throw Error(ErrorCode::kUnsupported,
                "perplexity is not defined for a vocabulary that appends an end-of-text token "
                "(tokenizer.ggml.add_eos_token)");
  }
  return tokenizer.Encode(text, {.add_special = true, .parse_special = false});
}

ChunkPlan PlanChunks(const tokenizer::Tokenizer& tokenizer, size_t tokens, size_t context,
                     size_t max_chunks) {
  if (context < 4) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("a context of {} tokens leaves nothing to score; use at least 4", context));
  }
  if (tokens / 2 < context) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the text has {} tokens, but a context of {} needs at least {} (two "
                            "chunks); use a longer text or a smaller context",
                            tokens, context, 2 * context));
  }
  ChunkPlan plan;
  plan.context = context;
  plan.chunks = tokens / context;
  if (max_chunks != 0) plan.chunks = std::min(plan.chunks, max_chunks);
  plan.first = context / 2;
  plan.replace_by_bos = tokenizer.adds_bos();
  if (plan.replace_by_bos) plan.bos = tokenizer.vocabulary().bos.value();
  return plan;
}

PerplexityResult SummarisePerplexity(std::span<const double> nll, const ChunkPlan& plan) {
  const size_t scored = plan.scored_per_chunk();
  PerplexityResult result;
  result.chunks = nll.size() / scored;
  result.context = plan.context;
  result.first = plan.first;
  result.bos = plan.replace_by_bos;
  Moments all;
  std::vector<double> chunk_means;
  for (size_t c = 0; c < result.chunks; ++c) {
    Moments chunk;
    for (const double v : nll.subspan(c * scored, scored)) {
      all.Add(v);
      chunk.Add(v);
    }
    chunk_means.push_back(chunk.mean());
    result.running.push_back(std::exp(all.mean()));
  }
  const Estimate ppl = ExpOfMean(all);
  result.ppl = ppl.value;
  result.ppl_stderr = ppl.standard_error;
  result.ppl_block_stderr = ppl.value * BlockStandardError(chunk_means, all.mean());
  result.tokens = all.count();
  return result;
}

PerplexityResult Perplexity(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                            std::string_view text, const PerplexityOptions& options) {
  CheckVocabulary(engine, tokenizer);
  const std::vector<TokenId> tokens = TokenizeForPerplexity(tokenizer, text);
  const ChunkPlan plan = PlanChunks(tokenizer, tokens.size(), options.context, options.chunks);
  std::optional<KlBaseWriter> writer;
  if (!options.kl_save.empty()) {
    writer.emplace(options.kl_save, plan, engine.model().config().vocab, tokens);
  }
  NllSink sink(tokens, plan, engine.options().threads);
  Moments so_far;
  ForwardChunks(engine, tokens, plan, [&](const ScoredRows& rows) {
    sink.Consume(rows, writer ? &*writer : nullptr);
    const size_t scored = plan.scored_per_chunk();
    const size_t begin = rows.chunk * scored + rows.first_row;
    for (size_t i = 0; i < rows.logits.rows; ++i) so_far.Add(sink.nll()[begin + i]);
    if (options.progress && rows.first_row + rows.logits.rows == scored) {
      options.progress(rows.chunk + 1, plan.chunks, std::exp(so_far.mean()));
    }
  });
  if (writer) writer->Commit();
  return SummarisePerplexity(sink.nll(), plan);
}

}  // namespace crossover::evals
