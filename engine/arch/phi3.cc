// Phi-3, Phi-3.5 and Phi-4 (arXiv 2404.14219, 2412.08905): Llama's layer with q, k, v in one matrix
// and gate and up in another, RoPE pairs half the rotated dimensions apart, which may be fewer than
// the head has (Phi-4-mini). Long-context models bring long-RoPE's two sets of divisors; the
// sliding window of the 4k models holds in every layer, and 0 stands for none.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {kernels::RopeStyle::kNeox});
}

}  // namespace

const Architecture kPhi3{"phi3", ReadConfig, {.fused_matrices = true}};

}  // namespace crossover::engine
