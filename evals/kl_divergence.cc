#include "evals/kl_divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "evals/chunk_forward.h"

namespace crossover::evals {
namespace {

using engine::ExpNonPositive;
using engine::Normalise;

constexpr float kClamp = 16.0f;
constexpr size_t kBlock = 256;  // in the first-level cache

double Divergence(std::span<const float> logits, const RowNormaliser& row, const KlRecord& base) {
  // ln q_k = logit_k - shift.
  const float shift = row.maximum + static_cast<float>(row.log_sum);
  double sum = 0;
  float log_p[kBlock], p[kBlock];
  for (size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const size_t n = std::min(kBlock, logits.size() - begin);
    for (size_t i = 0; i < n; ++i) log_p[i] = base.LogProbability(begin + i);
    std::copy_n(log_p, n, p);
    ExpNonPositive({p, n});
    for (size_t i = 0; i < n; ++i) {
      if (log_p[i] <= -kClamp) continue;
      sum += static_cast<double>(p[i] * (log_p[i] - (logits[begin + i] - shift)));
    }
  }
  return sum;
}

KlDivergenceResult Summarise(std::span<const KlRow> rows, const ChunkPlan& plan) {
  KlDivergenceResult result;
  std::vector<double> nll;
  Moments base, kld;
  size_t same = 0;
  result.kld_max = rows[0].kld;
  for (const KlRow& row : rows) {
    nll.push_back(row.nll);
    base.Add(row.base_nll);
    kld.Add(row.kld);
    result.kld_max = std::max(result.kld_max, row.kld);
    same += row.same_top ? 1 : 0;
  }
  result.perplexity = SummarisePerplexity(nll, plan);
  result.base_ppl = ExpOfMean(base);
  result.kld = {kld.mean(), kld.standard_error()};
  result.same_top = Proportion(same, rows.size());
  result.tokens = rows.size();
  return result;
}

void CheckFinite(const KlRow& row, size_t chunk, size_t position) {
  if (std::isfinite(row.kld) && std::isfinite(row.nll)) return;
  throw Error(ErrorCode::kNonFinite,
              fmt::format("the model's logits are not finite at chunk {}, position {}: the file "
                          "is damaged or its values overflow",
                          chunk + 1, position));
}

}  // namespace

KlRow CompareRow(std::span<const float> logits, const RowNormaliser& row, const KlRecord& base,
                 TokenId target) {
  KlRow result;
  result.nll = -LogProbability(row, logits, target);
  result.base_nll = -static_cast<double>(base.LogProbability(static_cast<size_t>(target)));
  result.kld = Divergence(logits, row, base);
  const auto top = std::max_element(base.u, base.u + logits.size()) - base.u;
  result.same_top = top == row.argmax;
  return result;
}

KlDivergenceResult KlDivergence(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                const std::filesystem::path& base_path,
                                const KlDivergenceOptions& options) {
  const KlBaseFile base(base_path);
  if (base.vocab() != engine.model().config().vocab) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: saved from a model with {} tokens in its vocabulary, this one has "
                            "{}",
                            base_path.string(), base.vocab(), engine.model().config().vocab));
  }
  ChunkPlan plan;
  plan.context = base.context();
  plan.chunks = options.chunks == 0 ? base.chunks() : std::min(options.chunks, base.chunks());
  plan.first = plan.context / 2;
  plan.replace_by_bos = tokenizer.adds_bos();
  if (plan.replace_by_bos) plan.bos = tokenizer.vocabulary().bos.value();

  const size_t scored = plan.scored_per_chunk();
  std::vector<KlRow> rows(plan.chunks * scored);
  Moments so_far;
  const int threads = static_cast<int>(engine.options().threads);
  ForwardChunks(engine, base.tokens(), plan, [&](const ScoredRows& part) {
    std::vector<KlRecord> records;
    for (size_t i = 0; i < part.logits.rows; ++i) {
      records.push_back(base.Record(part.chunk, part.first_row + i));
    }
    KlRow* out = rows.data() + part.chunk * scored + part.first_row;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < part.logits.rows; ++i) {
      const std::span<const float> logits = part.logits.row(i);
      const RowNormaliser row = Normalise(logits);
      const TokenId target = plan.Target(base.tokens(), part.chunk, part.first_row + i);
      if (row.finite) {
        out[i] = CompareRow(logits, row, records[i], target);
      } else {
        out[i].kld = std::nan("");
      }
    }
    for (size_t i = 0; i < part.logits.rows; ++i) {
      CheckFinite(out[i], part.chunk, plan.first + part.first_row + i);
      so_far.Add(out[i].nll);
    }
    if (options.progress && part.first_row + part.logits.rows == scored) {
      options.progress(part.chunk + 1, plan.chunks, std::exp(so_far.mean()));
    }
  });
  return Summarise(rows, plan);
}

}  // namespace crossover::evals
