// Llama 1–3.x, Mistral, TinyLlama, SmolLM (arXiv 2302.13971, 2310.06825, 2407.21783): pre-norm
// decoder, grouped queries, SwiGLU, interleaved RoPE (the files hold q and k with their rows
// permuted for it), Llama 3's RoPE frequency factors in rope_freqs.weight, Mistral's sliding
// window.
#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  return ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved, .experts = true});
}

}  // namespace

const Architecture kLlama{"llama", ReadConfig, {}};

const HfFamily kLlamaHf{.model = "LlamaForCausalLM",
                        .type = "llama",
                        .gguf = "llama",
                        .halves = true,
                        .tells_unknown_keys = true};
const HfFamily kMistralHf{.model = "MistralForCausalLM",
                          .type = "mistral",
                          .gguf = "llama",
                          .halves = true,
                          .windows = HfWindows::kAll,
                          .tells_unknown_keys = true};

}  // namespace crossover::engine
