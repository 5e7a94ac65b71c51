#include "evals/kl_divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "evals/chunk_forward.h"

namespace crossover::evals {
namespace {

constexpr float kClamp = 16.0f;
constexpr size_t kLanes = 16;

double Divergence(std::span<const float> logits, const RowNormaliser& row, const KlRecord& base) {
  // ln q_k = logit_k - shift.
  const float shift = row.maximum + static_cast<float>(row.log_sum);
  const auto term = [&](size_t k) {
    const float log_p = base.LogProbability(k);
    const float p = log_p > -kClamp ? ExpNonPositive(log_p) : 0.0f;
    return static_cast<double>(p * (log_p - (logits[k] - shift)));
  };
  double lanes[kLanes] = {};
  size_t k = 0;
  for (; k + kLanes <= logits.size(); k += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += term(k + l);
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; k < logits.size(); ++k) sum += term(k);
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
