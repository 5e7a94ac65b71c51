#include "engine/run/non_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>
#include <vector>

#include "base/error.h"
#include "engine/run/engine.h"
#include "engine/run/sequence.h"
#include "kernels/matrix_row.h"

namespace crossover::engine {
namespace {

bool Finite(float v) { return std::isfinite(v); }

// A tensor that a step reads.
struct Suspect {
  std::string role;  // of its name
  const kernels::Matrix* matrix = nullptr;
  std::span<const float> vector;
};

// Where a tensor holds no number, or how large its numbers are.
struct Finding {
  std::optional<std::string> not_finite;
  float largest = 0;
};

Finding Examine(std::span<const float> row, const std::string& where) {
  const auto bad = std::find_if_not(row.begin(), row.end(), Finite);
  if (bad != row.end())
    return {fmt::format("{}column {} is {}", where, bad - row.begin(), *bad), 0};
  float largest = 0;
  for (const float v : row) largest = std::max(largest, std::abs(v));
  return {std::nullopt, largest};
}

Finding Examine(const Suspect& suspect) {
  if (suspect.matrix == nullptr) return Examine(suspect.vector, "");
  Finding all;
  std::vector<float> row(suspect.matrix->cols);
  for (size_t r = 0; r < suspect.matrix->rows; ++r) {
    kernels::DecodeMatrixRow(*suspect.matrix, r, row.data());
    Finding one = Examine(row, fmt::format("row {}, ", r));
    if (one.not_finite) return one;
    all.largest = std::max(all.largest, one.largest);
  }
  return all;
}

// The names that a role may have: matrices that read the same input may be fused into one.
std::string NameOf(const Model& model, size_t layer, const std::string& role, Step step) {
  if (role.ends_with("weight")) return role;
  const std::string name = fmt::format("blk.{}.{}.weight", layer, role);
  if (model.file().FindTensor(name) != nullptr) return name;
  const bool projection = step == Step::kAttention || step == Step::kQuery || step == Step::kKey ||
                          step == Step::kValue;
  return fmt::format("blk.{}.{}.weight", layer, projection ? "attn_qkv" : "ffn_up");
}

std::vector<Suspect> FeedForward(const LayerWeights& w) {
  std::vector<Suspect> all{{"ffn_down", &w.ffn.down, {}},
                           {"post_ffw_norm", nullptr, w.ffn_post_norm.weight}};
  if (w.experts.empty()) return all;
  all[0] = {"ffn_norm", nullptr, w.ffn_norm.weight};
  all.push_back({"ffn_gate_inp", &w.router, {}});
  for (const FeedForwardWeights& expert : w.experts) {
    all.push_back({"ffn_gate_exps", &expert.gate, {}});
    all.push_back({"ffn_up_exps", &expert.up, {}});
    all.push_back({"ffn_down_exps", &expert.down, {}});
  }
  return all;
}

std::vector<Suspect> SuspectsOf(const Model& model, Step step, size_t layer) {
  const Weights& all = model.weights();
  const LayerWeights& w = all.layers[layer];
  switch (step) {
    case Step::kEmbedding:
      return {{"token_embd.weight", &all.embedding, {}}};
    case Step::kQuery:
      return {{"attn_norm", nullptr, w.attention_norm.weight}, {"attn_q", &w.q, {}}};
    case Step::kKey:
      return {{"attn_norm", nullptr, w.attention_norm.weight}, {"attn_k", &w.k, {}}};
    case Step::kValue:
      return {{"attn_norm", nullptr, w.attention_norm.weight}, {"attn_v", &w.v, {}}};
    case Step::kRotation:
      return {{"attn_q_norm", nullptr, w.q_norm}, {"attn_k_norm", nullptr, w.k_norm}};
    case Step::kAttention:
      return {{"attn_norm", nullptr, w.attention_norm.weight},
              {"attn_q", &w.q, {}},
              {"attn_k", &w.k, {}},
              {"attn_v", &w.v, {}}};
    case Step::kAttentionOutput:
      return {{"attn_output", &w.attention_out, {}},
              {"post_attention_norm", nullptr, w.attention_post_norm.weight}};
    case Step::kGate:
      return {{"ffn_norm", nullptr, w.ffn_norm.weight}, {"ffn_gate", &w.ffn.gate, {}}};
    case Step::kUp:
      return {{"ffn_norm", nullptr, w.ffn_norm.weight}, {"ffn_up", &w.ffn.up, {}}};
    case Step::kDown:
      return FeedForward(w);
    case Step::kLogits: {
      const bool tied = model.file().FindTensor("output.weight") == nullptr;
      return {{"output_norm.weight", nullptr, all.output_norm.weight},
              {tied ? "token_embd.weight" : "output.weight", &all.output, {}}};
    }
  }
  return {};
}

std::string Explain(const Model& model, Step step, size_t layer) {
  const bool in_layer = step != Step::kEmbedding && step != Step::kLogits;
  const std::string where = in_layer ? fmt::format("first in layer {}, ", layer) : "first in ";
  std::string largest_name;
  float largest = -1;
  for (const Suspect& suspect : SuspectsOf(model, step, layer)) {
    if (suspect.matrix == nullptr && suspect.vector.empty()) continue;
    const std::string name = NameOf(model, layer, suspect.role, step);
    const Finding finding = Examine(suspect);
    if (finding.not_finite) {
      return fmt::format("{}{}: {}; the file is damaged", where, name, *finding.not_finite);
    }
    if (finding.largest > largest) {
      largest = finding.largest;
      largest_name = name;
    }
  }
  const std::string weight = fmt::format("{:.3g} in {}", largest, largest_name);
  if (step == Step::kAttention) {
    return fmt::format(
        "{}attention: scores overflow, or keys or values exceed what the KV cache's "
        "format holds (try --kv-type f32); the largest weight behind them is {}",
        where, weight);
  }
  return fmt::format("{}a product that overflows; its largest weight is {}", where, weight);
}

std::string Locate(const Engine& engine, std::span<const TokenId> tokens) {
  EngineOptions options = engine.options();
  options.kv_capacity = tokens.size() + options.page_tokens;
  if (options.context == 0) options.context = engine.kv().pages() * options.page_tokens;
  Engine again(engine.shared_model(), options);
  std::optional<std::string> found;
  const Probe probe = [&](Step step, size_t layer, std::span<const float> values) {
    if (found || std::all_of(values.begin(), values.end(), Finite)) return;
    found = Explain(again.model(), step, layer);
  };
  const ScopedSequence sequence(again);
  while (!tokens.empty() && !found) {
    const size_t n = std::min(options.max_batch, tokens.size());
    const Chunk chunk{sequence.id(), tokens.first(n), n - 1};
    again.Forward({&chunk, 1}, {.probe = &probe});
    tokens = tokens.subspan(n);
  }
  return found ? *found
               : "but they are when the text is run by itself; please report it, with the model";
}

}  // namespace

std::string LocateNonFinite(const Engine& engine, std::span<const TokenId> tokens) noexcept {
  try {
    return Locate(engine, tokens);
  } catch (const std::exception& error) {
    return std::string("and looking for the place failed: ") + error.what();
  }
}

void ThrowNonFinite(const Engine& engine, std::span<const TokenId> tokens,
                    const std::string& where) {
  throw Error(ErrorCode::kNonFinite, fmt::format("{}: the model's logits are not finite: {}", where,
                                                 LocateNonFinite(engine, tokens)));
}

}  // namespace crossover::engine
