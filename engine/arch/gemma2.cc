// Gemma 2 (arXiv 2408.00118): norms before and behind each block, soft caps on scores and logits,
// and a sliding window in every other layer, beginning with the first.
#include "engine/arch/gemma.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadGemmaConfig(file, 46);
  const Keys keys(file);
  // What all published models have, should a file not say.
  SetWindows(keys, keys.Size("attention.sliding_window", 4096), 2, config);
  config.attention_soft_cap =
      static_cast<float>(keys.PositiveOrNone("attn_logit_softcapping", 50.0));
  config.logit_soft_cap = static_cast<float>(keys.PositiveOrNone("final_logit_softcapping", 30.0));
  return config;
}

}  // namespace

const Architecture kGemma2{"gemma2",
                           ReadConfig,
                           {.norms = NormPlaces::kBoth},
                           {"attn_logit_softcapping", "final_logit_softcapping"}};

}  // namespace crossover::engine
