#include "evals/capacity.h"

#include <algorithm>

namespace crossover::evals {
namespace {

constexpr size_t kCacheBytes = size_t{256} << 20;
constexpr size_t kMinCacheTokens = 4096;  // several items of any task, whatever they cost
constexpr size_t kMaxCacheTokens = 16384;
constexpr size_t kLogitBytes = size_t{64} << 20;
constexpr size_t kMinLogitRows = 16;

}  // namespace

engine::EngineOptions EvaluationEngineOptions(engine::EngineOptions base,
                                              const engine::ModelConfig& model, size_t context) {
  const size_t row_bytes =
      quant::Info(base.kv_format).row_bytes(model.head_dim) * model.kv_heads * model.layers * 2;
  const size_t affordable =
      std::clamp(kCacheBytes / std::max<size_t>(row_bytes, 1), kMinCacheTokens, kMaxCacheTokens);
  base.kv_capacity = std::max(affordable, context + 2 * base.page_tokens);
  base.context = context;
  base.deterministic = true;
  if (base.activations == kernels::Activations::kAuto) {
    base.activations = kernels::Activations::kAutoMany;
  }
  return base;
}

size_t MaxLogitRows(size_t vocab) {
  return std::max(kLogitBytes / (vocab * sizeof(float)), kMinLogitRows);
}

}  // namespace crossover::evals
