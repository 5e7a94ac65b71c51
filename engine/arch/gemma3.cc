// Gemma 3, text (arXiv 2503.19786): Gemma 2 with norms on the heads of q and k in place of the soft
// caps; five layers with a sliding window, which rotate by a base of their own and without scaling,
// to one that sees everything.
#include "engine/arch/gemma.h"

namespace crossover::engine {
namespace {

constexpr size_t kLocalRope = 1;

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadGemmaConfig(file, 62);
  const Keys keys(file);
  SetWindows(keys, keys.SizeOrNone("attention.sliding_window", 0), 6, config);
  RopeConfig local;
  local.base = keys.Positive("rope.freq_base_swa", 10000.0);
  config.ropes.push_back(local);
  for (LayerConfig& layer : config.layer) {
    if (layer.window != 0) layer.rope = kLocalRope;
  }
  config.logit_soft_cap = static_cast<float>(keys.PositiveOrNone("final_logit_softcapping", 0.0));
  return config;
}

}  // namespace

const Architecture kGemma3{"gemma3",
                           ReadConfig,
                           {.norms = NormPlaces::kBoth, .head_norms = HeadNorms::kEachHead},
                           {"final_logit_softcapping", "rope.freq_base_swa"}};

}  // namespace crossover::engine
