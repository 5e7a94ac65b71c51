// Llama 1–3.x, Mistral, TinyLlama, SmolLM (arXiv 2302.13971, 2310.06825, 2407.21783): pre-norm
// decoder, grouped queries, SwiGLU, interleaved RoPE (the files hold q and k with their rows
// permuted for it), Llama 3's RoPE frequency factors in rope_freqs.weight, Mistral's sliding
// window.
#include "engine/arch/architecture.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, kernels::RopeStyle::kInterleaved);
}

}  // namespace

const Architecture kLlama{"llama", ReadConfig, {}};

}  // namespace crossover::engine
