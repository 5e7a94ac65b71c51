// The study's models as shapes: what their published configurations say, without their weights.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace crossover::engine {

/// What the models of one architecture have in common.
struct SynthFamily {
  std::string_view architecture;   // general.architecture
  std::string_view pre_tokenizer;  // tokenizer.ggml.pre
  bool adds_bos = false;
  bool qkv_biases = false;
  bool fused = false;             // attn_qkv, and gate above up in ffn_up
  bool post_norms = false;        // behind attention and behind the FFN
  uint32_t sliding_window = 0;    // in every other layer; 0: none
  double attention_soft_cap = 0;  // of attention scores; 0: none
  double final_soft_cap = 0;      // of logits; 0: none
};

struct SynthShape {
  std::string_view name;  // "qwen2.5-7b"
  const SynthFamily* family = nullptr;
  uint32_t width = 0;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t ffn = 0;
  uint32_t vocabulary = 0;
  bool tied = false;  // the output matrix is the token embedding
  double rope_base = 10000;
  double norm_eps = 1e-5;
  uint32_t context = 0;
  double rope_stretch = 1;  // Llama 3's factor for slow rotations (rope_freqs.weight); 1: none
};

std::span<const SynthShape> SynthShapes();

/// By name, case-insensitive; Error(kInvalidArgument) lists the known names.
const SynthShape& FindSynthShape(std::string_view name);

}  // namespace crossover::engine
