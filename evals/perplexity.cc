#include "evals/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/counted.h"
#include "base/error.h"
#include "engine/model/vocabulary_rows.h"
#include "engine/run/log_softmax.h"
#include "engine/run/non_finite.h"
#include "evals/chunk_forward.h"
#include "evals/kl_file.h"

namespace crossover::evals {
namespace {

using engine::Normalise;
using engine::RowNormaliser;

// ln-likelihoods of the targets, negated, [chunks][scored_per_chunk].
class NllSink {
 public:
  NllSink(const engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan)
      : engine_(engine),
        tokens_(tokens),
        plan_(plan),
        nll_(plan.chunks * plan.scored_per_chunk()) {}

  void Consume(const ScoredRows& rows, KlBaseWriter* writer) {
    const size_t base = rows.chunk * plan_.scored_per_chunk() + rows.first_row;
    if (writer != nullptr) writer->BeginRows(rows.logits.rows);
    const int threads = static_cast<int>(engine_.options().threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < rows.logits.rows; ++i) {
      const std::span<const float> logits = rows.logits.row(i);
      const RowNormaliser row = Normalise(logits);
      const TokenId target = plan_.Target(tokens_, rows.chunk, rows.first_row + i);
      nll_[base + i] = row.finite ? -LogProbability(row, logits, target)
                                  : std::numeric_limits<double>::quiet_NaN();
      if (writer != nullptr && row.finite) writer->SetRow(i, logits, row);
    }
    const auto scored = std::span(nll_).subspan(base, rows.logits.rows);
    const auto bad =
        std::find_if(scored.begin(), scored.end(), [](double v) { return std::isnan(v); });
    if (bad != scored.end()) {
      const auto row = static_cast<size_t>(bad - scored.begin());
      ThrowNonFiniteRow(engine_, tokens_, plan_, rows.chunk, rows.first_row + row);
    }
    if (writer != nullptr) writer->WriteRows();
  }

  std::span<const double> nll() const { return nll_; }

 private:
  const engine::Engine& engine_;
  std::span<const TokenId> tokens_;
  const ChunkPlan& plan_;
  std::vector<double> nll_;
};

}  // namespace

std::vector<TokenId> ChunkPlan::Input(std::span<const TokenId> tokens, size_t chunk) const {
  const auto part = tokens.subspan(start(chunk), context - 1);
  std::vector<TokenId> input(part.begin(), part.end());
  if (replace_by_bos) input[0] = bos;
  return input;
}

void ThrowNonFiniteRow(const engine::Engine& engine, std::span<const TokenId> tokens,
                       const ChunkPlan& plan, size_t chunk, size_t row) {
  std::vector<TokenId> input = plan.Input(tokens, chunk);
  const size_t position = plan.first + row;
  input.resize(position + 1);
  engine::ThrowNonFinite(engine, input, fmt::format("chunk {}, position {}", chunk + 1, position));
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

ChunkPlan PlainChunks(const tokenizer::Tokenizer& tokenizer, size_t context, size_t chunks) {
  ChunkPlan plan;
  plan.context = context;
  plan.chunks = chunks;
  plan.first = context / 2;
  plan.stride = context;
  plan.replace_by_bos = tokenizer.adds_bos();
  if (plan.replace_by_bos) plan.bos = tokenizer.vocabulary().bos.value();
  return plan;
}

ChunkPlan PlanChunks(const tokenizer::Tokenizer& tokenizer, size_t tokens,
                     const PerplexityOptions& options) {
  const size_t stride = options.stride;
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); };
  if (options.context < 4) {
    fail(fmt::format("a context of {} tokens leaves nothing to score; use at least 4",
                     options.context));
  }
  ChunkPlan plan = PlainChunks(tokenizer, ChunkTokens(options.context, stride), 0);
  if (tokens / 2 < plan.context) {
    fail(
        fmt::format("the text has {}, but {} need at least {}; use a longer text or a "
                    "smaller context",
                    Counted(tokens, "token"),
                    stride == 0 ? fmt::format("two chunks of {}", plan.context)
                                : fmt::format("windows of {}", plan.context),
                    2 * plan.context));
  }
  plan.chunks = tokens / plan.context;
  if (stride != 0) {
    if (stride >= options.context) {
      fail(fmt::format("a stride of {} is not below the context of {}", Counted(stride, "token"),
                       options.context));
    }
    plan.stride = stride;
    plan.chunks = (tokens - plan.context + stride - 1) / stride;
    plan.first = plan.context - stride - 1;
    plan.replace_by_bos = false;
  }
  if (options.chunks != 0) plan.chunks = std::min(plan.chunks, options.chunks);
  return plan;
}

PerplexityResult SummarisePerplexity(std::span<const double> nll, const ChunkPlan& plan) {
  const size_t scored = plan.scored_per_chunk();
  PerplexityResult result;
  result.chunks = nll.size() / scored;
  result.context = plan.context;
  result.stride = plan.stride;
  result.first = plan.first;
  result.bos = plan.replace_by_bos;
  Moments all;
  for (size_t c = 0; c < result.chunks; ++c) {
    for (const double v : nll.subspan(c * scored, scored)) all.Add(v);
    result.running.push_back(std::exp(all.mean()));
  }
  const Estimate ppl = ExpOfMean(all);
  result.ppl = ppl.value;
  result.ppl_stderr = ppl.standard_error;
  result.ppl_block_stderr = ppl.value * BlockStandardError(nll, scored);
  result.chunk_autocorrelation = BlockAutocorrelation(nll, scored);
  result.tokens = all.count();
  result.nll.assign(nll.begin(), nll.end());
  return result;
}

PairedPerplexity ComparePerplexity(const PerplexityResult& result, const PerplexityResult& base) {
  PairedMoments pairs;
  std::vector<double> differences;
  for (size_t i = 0; i < result.nll.size(); ++i) {
    pairs.Add(result.nll[i], base.nll[i]);
    differences.push_back(result.nll[i] - base.nll[i]);
  }
  PairedPerplexity paired;
  paired.correlation = pairs.correlation();
  paired.ln_ratio = pairs.difference();
  paired.ln_ratio_block_stderr = BlockStandardError(differences, result.nll.size() / result.chunks);
  const double ratio = std::exp(paired.ln_ratio.value);
  paired.ratio = {ratio, ratio * paired.ln_ratio.standard_error};
  // exp(x̄) - exp(ȳ) to first order.
  const double covariance = result.ppl * base.ppl * pairs.covariance();
  const double variance =
      result.ppl_stderr * result.ppl_stderr + base.ppl_stderr * base.ppl_stderr - 2 * covariance;
  paired.difference = {result.ppl - base.ppl, std::sqrt(std::max(variance, 0.0))};
  return paired;
}

PerplexityResult Perplexity(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                            std::string_view text, const PerplexityOptions& options) {
  engine::CheckRows(engine.model(), tokenizer);
  const std::vector<TokenId> tokens = TokenizeForPerplexity(tokenizer, text);
  const ChunkPlan plan = PlanChunks(tokenizer, tokens.size(), options);
  std::optional<KlBaseWriter> writer;
  if (!options.kl_save.empty()) {
    if (options.stride != 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  "a base file holds plain chunks; leave out the stride or the base file");
    }
    writer.emplace(options.kl_save, options.kl_format, plan, engine.model().config().vocab, tokens);
  }
  NllSink sink(engine, tokens, plan);
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
