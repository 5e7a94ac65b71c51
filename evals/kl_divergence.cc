#include "evals/kl_divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "evals/chunk_forward.h"

namespace crossover::evals {
namespace {

using engine::ExpNonPositive;
using engine::Normalise;

constexpr float kClamp = 16.0f;
constexpr size_t kBlock = 256;  // in the first-level cache

double ClampedDivergence(std::span<const float> logits, const RowNormaliser& row,
                         const KlRecord& base) {
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

// Every term, the difference of the logarithms in double: it is small where the models agree.
double Divergence(std::span<const float> logits, const RowNormaliser& row,
                  std::span<const float> base, const RowNormaliser& base_row) {
  constexpr size_t kLanes = 16;  // as in engine/run/log_softmax.cc
  const double shift = (static_cast<double>(row.maximum) + row.log_sum) -
                       (static_cast<double>(base_row.maximum) + base_row.log_sum);
  double lanes[kLanes] = {};
  float e[kBlock], difference[kBlock];
  for (size_t begin = 0; begin < base.size(); begin += kBlock) {
    const size_t n = std::min(kBlock, base.size() - begin);
    for (size_t i = 0; i < n; ++i) e[i] = base[begin + i] - base_row.maximum;
    for (size_t i = 0; i < n; ++i) difference[i] = base[begin + i] - logits[begin + i];
    ExpNonPositive({e, n});
    std::fill(e + n, e + kBlock, 0.0f);
    std::fill(difference + n, difference + kBlock, 0.0f);
    for (size_t i = 0; i < kBlock; i += kLanes) {
      for (size_t l = 0; l < kLanes; ++l) {
        const double d = static_cast<double>(difference[i + l]) + shift;
        lanes[l] += static_cast<double>(e[i + l]) * d;
      }
    }
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum * std::exp(-base_row.log_sum);
}

std::vector<Percentile> Percentiles(std::vector<float> values,
                                    std::initializer_list<double> fractions) {
  std::sort(values.begin(), values.end());
  std::vector<Percentile> percentiles;
  for (const double fraction : fractions)
    percentiles.push_back({fraction, Quantile(values, fraction)});
  return percentiles;
}

// From the rows, [chunks][scored_per_chunk].
KlDivergenceResult Summarise(std::span<const KlRow> rows, const ChunkPlan& plan) {
  KlDivergenceResult result;
  std::vector<double> nll, base_nll;
  std::vector<float> divergences, differences;
  Moments kld, delta_p, delta_p_squared;
  size_t same = 0;
  for (const KlRow& row : rows) {
    nll.push_back(row.nll);
    base_nll.push_back(row.base_nll);
    kld.Add(row.kld);
    divergences.push_back(static_cast<float>(row.kld));
    const double difference = std::exp(-row.nll) - std::exp(-row.base_nll);
    delta_p.Add(difference);
    delta_p_squared.Add(difference * difference);
    differences.push_back(static_cast<float>(difference));
    same += row.same_top ? 1 : 0;
  }
  result.perplexity = SummarisePerplexity(nll, plan);
  result.base = SummarisePerplexity(base_nll, plan);
  result.paired = ComparePerplexity(result.perplexity, result.base);
  result.kld = {kld.mean(), kld.standard_error()};
  result.kld_percentiles = Percentiles(std::move(divergences),
                                       {1, 0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01, 0.001, 0});
  result.kld_max = result.kld_percentiles.front().value;
  result.delta_p = {delta_p.mean(), delta_p.standard_error()};
  const double rms = std::sqrt(delta_p_squared.mean());
  result.delta_p_rms = {rms, rms > 0 ? 0.5 / rms * delta_p_squared.standard_error() : 0};
  result.delta_p_percentiles =
      Percentiles(std::move(differences),
                  {1, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001, 0});
  result.same_top = Proportion(same, rows.size());
  result.tokens = rows.size();
  return result;
}

// All rows of a plan, as they come.
class KlRows {
 public:
  KlRows(const engine::Engine& engine, std::span<const TokenId> tokens, const ChunkPlan& plan,
         PerplexityProgress progress)
      : engine_(engine),
        tokens_(tokens),
        plan_(plan),
        progress_(std::move(progress)),
        rows_(plan.chunks * plan.scored_per_chunk()) {}

  /// compare(i, logits, row, target) gives the KlRow of row i of the part; from several threads.
  template <class Compare>
  void Add(const ScoredRows& part, const Compare& compare) {
    const size_t scored = plan_.scored_per_chunk();
    KlRow* out = rows_.data() + part.chunk * scored + part.first_row;
    const int threads = static_cast<int>(engine_.options().threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < part.logits.rows; ++i) {
      const std::span<const float> logits = part.logits.row(i);
      const RowNormaliser row = Normalise(logits);
      const TokenId target = plan_.Target(tokens_, part.chunk, part.first_row + i);
      out[i] = row.finite ? compare(i, logits, row, target) : KlRow{.nll = std::nan("")};
    }
    for (size_t i = 0; i < part.logits.rows; ++i) {
      if (!std::isfinite(out[i].nll)) {
        ThrowNonFiniteRow(engine_, tokens_, plan_, part.chunk, part.first_row + i);
      }
      so_far_.Add(out[i].nll);
    }
    if (progress_ && part.first_row + part.logits.rows == scored) {
      progress_(part.chunk + 1, plan_.chunks, std::exp(so_far_.mean()));
    }
  }

  KlDivergenceResult Summarise() const { return evals::Summarise(rows_, plan_); }

 private:
  const engine::Engine& engine_;
  std::span<const TokenId> tokens_;
  const ChunkPlan& plan_;
  PerplexityProgress progress_;
  std::vector<KlRow> rows_;
  Moments so_far_;
};

void CheckVocabularies(size_t base, size_t tested, const std::string& which) {
  if (base == tested) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{} has {} tokens in its vocabulary, the model under test {}: a divergence "
                  "needs the same ones",
                  which, base, tested));
}

}  // namespace

KlRow CompareRow(std::span<const float> logits, const RowNormaliser& row, const KlRecord& base,
                 TokenId target) {
  KlRow result;
  result.nll = -LogProbability(row, logits, target);
  result.base_nll = -static_cast<double>(base.LogProbability(static_cast<size_t>(target)));
  result.kld = ClampedDivergence(logits, row, base);
  const auto top = std::max_element(base.u, base.u + logits.size()) - base.u;
  result.same_top = top == row.argmax;
  return result;
}

KlRow CompareRow(std::span<const float> logits, const RowNormaliser& row,
                 std::span<const float> base, const RowNormaliser& base_row, TokenId target) {
  return {.nll = -LogProbability(row, logits, target),
          .base_nll = -LogProbability(base_row, base, target),
          .kld = Divergence(logits, row, base, base_row),
          .same_top = base_row.argmax == row.argmax};
}

KlDivergenceResult KlDivergence(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                const std::filesystem::path& base_path,
                                const KlDivergenceOptions& options) {
  const KlBaseFile base(base_path);
  CheckVocabularies(base.vocab(), engine.model().config().vocab,
                    base_path.string() + ": the model it was saved from");
  const ChunkPlan plan = PlanChunks(
      tokenizer, base.tokens().size(),
      {.context = base.context(),
       .chunks = options.chunks == 0 ? base.chunks() : std::min(options.chunks, base.chunks())});
  KlRows rows(engine, base.tokens(), plan, options.progress);
  ForwardChunks(engine, base.tokens(), plan, [&](const ScoredRows& part) {
    const auto stored = [&](auto read) {  // outside the parallel region: it may throw
      std::vector<decltype(read(size_t{0}))> list;
      for (size_t i = 0; i < part.logits.rows; ++i) list.push_back(read(part.first_row + i));
      return list;
    };
    if (base.format() == KlFormat::kExact) {
      const auto logits = stored([&](size_t i) { return base.Row(part.chunk, i); });
      rows.Add(part, [&](size_t i, auto q, const RowNormaliser& row, TokenId target) {
        return CompareRow(q, row, logits[i], Normalise(logits[i]), target);
      });
    } else {
      const auto records = stored([&](size_t i) { return base.Record(part.chunk, i); });
      rows.Add(part, [&](size_t i, auto q, const RowNormaliser& row, TokenId target) {
        return CompareRow(q, row, records[i], target);
      });
    }
  });
  return rows.Summarise();
}

KlDivergenceResult KlDivergence(engine::Engine& engine, engine::Engine& base,
                                const tokenizer::Tokenizer& tokenizer, std::string_view text,
                                const PerplexityOptions& options) {
  CheckVocabularies(base.model().config().vocab, engine.model().config().vocab, "the base model");
  const std::vector<TokenId> tokens = TokenizeForPerplexity(tokenizer, text);
  const ChunkPlan plan = PlanChunks(tokenizer, tokens.size(), options);
  KlRows rows(engine, tokens, plan, options.progress);
  engine::Engine* const engines[] = {&engine, &base};
  ForwardChunks(engines, tokens, plan, [&](const ScoredRowsOfEach& part) {
    const engine::Logits& p = part.logits[1];
    for (size_t i = 0; i < p.rows; ++i) {
      if (engine::FindExtremes(p.row(i)).finite) continue;
      ThrowNonFiniteRow(base, tokens, plan, part.chunk, part.first_row + i);
    }
    rows.Add({part.chunk, part.first_row, part.logits[0]},
             [&](size_t i, auto q, const RowNormaliser& row, TokenId target) {
               return CompareRow(q, row, p.row(i), Normalise(p.row(i)), target);
             });
  });
  return rows.Summarise();
}

}  // namespace crossover::evals
