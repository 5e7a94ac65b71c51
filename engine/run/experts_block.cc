// A mixture of experts (arXiv 1701.06538, 2101.03961). Tokens that chose the same expert go through
// its matrices together; results are added up in the order of the experts, so that a token's sum
// does not depend on the other tokens.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "engine/run/pass.h"
#include "kernels/rows.h"

namespace crossover::engine {
namespace {

using kernels::Range;

// The `used` experts with the largest scores, the first of equal ones, and their share of the
// softmax over all experts, or over the chosen ones.
void Choose(const ExpertsConfig& config, std::span<const float> scores,
            std::span<ExpertChoice> chosen) {
  std::vector<bool> taken(scores.size(), false);
  for (ExpertChoice& choice : chosen) {
    size_t best = scores.size();
    for (size_t e = 0; e < scores.size(); ++e) {
      // Not `scores[e] > scores[best]` alone: among scores that are no numbers some is taken too.
      if (!taken[e] && (best == scores.size() || scores[e] > scores[best])) best = e;
    }
    taken[best] = true;
    choice = {static_cast<uint32_t>(best), scores[best]};
  }
  const float top = chosen.front().weight;
  double sum = 0;
  if (config.normed) {
    for (const ExpertChoice& choice : chosen) sum += std::exp(double{choice.weight} - top);
  } else {
    for (const float score : scores) sum += std::exp(double{score} - top);
  }
  for (ExpertChoice& choice : chosen) {
    choice.weight = static_cast<float>(config.scale * std::exp(double{choice.weight} - top) / sum);
  }
}

// a.choices of this worker's tokens from the router's scores of h = norm(x), which stays in
// a.normed.
void Route(const Pass& pass, const LayerWeights& layer, size_t index) {
  Activity& a = pass.a;
  const ExpertsConfig& experts = pass.config.experts;
  const size_t dim = pass.config.dim;
  const Range mine = pass.worker.Split(pass.tokens());
  for (size_t t = mine.begin; t < mine.end; ++t) {
    kernels::Normalize(pass.NormOf(layer.ffn_norm), &a.x[t * dim], dim, &a.normed[t * dim]);
  }
  pass.worker.Sync();
  pass.Tap({Product::kRouter, index}, a.normed, pass.tokens(), dim);
  a.input.Assign(pass.worker, a.normed.data(), pass.tokens(), dim, std::array{&layer.router},
                 pass.activations);
  kernels::MatMul(pass.worker, layer.router, a.input, a.router_scores.data(), experts.count,
                  {.bias = DataOrNull(layer.router_bias)});
  pass.worker.Sync();
  for (size_t t = mine.begin; t < mine.end; ++t) {
    const std::span<ExpertChoice> chosen =
        std::span(a.choices).subspan(t * experts.used, experts.used);
    if (pass.products_only()) {
      // Without numbers there is nothing to choose by: the experts in turn.
      for (size_t i = 0; i < experts.used; ++i) {
        chosen[i] = {static_cast<uint32_t>((t * experts.used + i) % experts.count), 1.0f};
      }
      continue;
    }
    Choose(experts, a.router_scores.subspan(t * experts.count, experts.count), chosen);
  }
  pass.worker.Sync();
}

// a.expert_rows, the (token, weight) of each expert side by side; a.expert_begin: where they begin.
void SortByExpert(const Pass& pass) {
  Activity& a = pass.a;
  const ExpertsConfig& experts = pass.config.experts;
  std::fill(a.expert_begin.begin(), a.expert_begin.end(), 0);
  const auto choices = std::span(a.choices).first(pass.tokens() * experts.used);
  for (const ExpertChoice& choice : choices) ++a.expert_begin[choice.expert + 1];
  for (size_t e = 0; e < experts.count; ++e) a.expert_begin[e + 1] += a.expert_begin[e];
  std::vector<size_t> next(a.expert_begin.begin(), a.expert_begin.end());
  for (size_t i = 0; i < choices.size(); ++i) {
    a.expert_rows[next[choices[i].expert]++] = {i / experts.used, choices[i].weight};
  }
}

// sum[t] += p · (W_down · unit(W · h_t) + b), over the tokens of one expert.
void RunExpert(const Pass& pass, const FeedForwardWeights& ffn, std::span<const ExpertRow> rows,
               size_t index, size_t expert) {
  Activity& a = pass.a;
  const size_t dim = pass.config.dim;
  const Range mine = pass.worker.Split(rows.size());
  for (size_t i = mine.begin; i < mine.end; ++i) {
    std::copy_n(&a.normed[rows[i].token * dim], dim, &a.expert_values[i * dim]);
  }
  pass.worker.Sync();
  pass.Tap({Product::kGateUp, index, expert}, a.expert_values, rows.size(), dim);
  a.input.Assign(pass.worker, a.expert_values.data(), rows.size(), dim, ReadersOf(ffn),
                 pass.activations);
  HiddenOf(pass, ffn, rows.size(), {Product::kDown, index, expert});
  kernels::MatMul(pass.worker, ffn.down, a.ffn_input, a.expert_values.data(), dim,
                  {.bias = DataOrNull(ffn.down_bias)});
  pass.worker.Sync();
  for (size_t i = mine.begin; i < mine.end; ++i) {
    float* y = &a.expert_values[i * dim];
    kernels::Scale(rows[i].weight, dim, y);
    kernels::Add(y, dim, &a.expert_sum[rows[i].token * dim]);
  }
  // The next expert's tokens are added by other workers.
  pass.worker.Sync();
}

}  // namespace

void ExpertsBlock(const Pass& pass, const LayerWeights& layer, size_t index) {
  Activity& a = pass.a;
  Route(pass, layer, index);
  if (pass.worker.rank == 0) SortByExpert(pass);
  const Range mine = pass.worker.Split(pass.tokens() * pass.config.dim);
  std::fill_n(a.expert_sum.begin() + static_cast<ptrdiff_t>(mine.begin), mine.size(), 0.0f);
  pass.worker.Sync();
  for (size_t e = 0; e < layer.experts.size(); ++e) {
    const size_t begin = a.expert_begin[e];
    const auto rows = std::span(a.expert_rows).subspan(begin, a.expert_begin[e + 1] - begin);
    if (!rows.empty()) RunExpert(pass, layer.experts[e], rows, index, e);
  }
  pass.AddBranch(a.expert_sum, layer.ffn_post_norm);
}

}  // namespace crossover::engine
