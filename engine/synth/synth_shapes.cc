#include "engine/synth/synth_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/error.h"

namespace crossover::engine {
namespace {

constexpr SynthFamily kQwen2{.architecture = "qwen2", .pre_tokenizer = "qwen2", .qkv_biases = true};
constexpr SynthFamily kLlama{
    .architecture = "llama", .pre_tokenizer = "llama-bpe", .adds_bos = true};
constexpr SynthFamily kPhi3{.architecture = "phi3", .pre_tokenizer = "dbrx", .fused = true};
constexpr SynthFamily kGemma2{.architecture = "gemma2",
                              .pre_tokenizer = "gpt-2",
                              .adds_bos = true,
                              .post_norms = true,
                              .sliding_window = 4096,
                              .attention_soft_cap = 50,
                              .final_soft_cap = 30};

// name, family, width, layers, heads, KV heads, head size, FFN, vocabulary, tied, RoPE base, RMS
// eps, context, RoPE stretch
constexpr auto kShapes = std::to_array<SynthShape>({
    {"qwen2.5-0.5b", &kQwen2, 896, 24, 14, 2, 64, 4864, 151936, true, 1e6, 1e-6, 32768, 1},
    {"qwen2.5-1.5b", &kQwen2, 1536, 28, 12, 2, 128, 8960, 151936, true, 1e6, 1e-6, 32768, 1},
    {"qwen2.5-3b", &kQwen2, 2048, 36, 16, 2, 128, 11008, 151936, true, 1e6, 1e-6, 32768, 1},
    {"qwen2.5-7b", &kQwen2, 3584, 28, 28, 4, 128, 18944, 152064, false, 1e6, 1e-6, 32768, 1},
    {"qwen2.5-14b", &kQwen2, 5120, 48, 40, 8, 128, 13824, 152064, false, 1e6, 1e-5, 32768, 1},
    {"llama-3.2-1b", &kLlama, 2048, 16, 32, 8, 64, 8192, 128256, true, 5e5, 1e-5, 131072, 32},
    {"llama-3.2-3b", &kLlama, 3072, 28, 24, 8, 128, 8192, 128256, true, 5e5, 1e-5, 131072, 32},
    {"llama-3.1-8b", &kLlama, 4096, 32, 32, 8, 128, 14336, 128256, false, 5e5, 1e-5, 131072, 8},
    {"phi-4", &kPhi3, 5120, 40, 40, 10, 128, 17920, 100352, false, 250000, 1e-5, 16384, 1},
    {"gemma-2-2b", &kGemma2, 2304, 26, 8, 4, 256, 9216, 256000, true, 1e4, 1e-6, 8192, 1},
    {"gemma-2-9b", &kGemma2, 3584, 42, 16, 8, 256, 14336, 256000, true, 1e4, 1e-6, 8192, 1},
});

bool EqualNames(std::string_view a, std::string_view b) {
  const auto lower = [](unsigned char c) { return std::tolower(c); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::span<const SynthShape> SynthShapes() { return kShapes; }

const SynthShape& FindSynthShape(std::string_view name) {
  const auto* found = std::ranges::find_if(
      kShapes, [=](const SynthShape& shape) { return EqualNames(shape.name, name); });
  if (found != kShapes.end()) return *found;
  std::string known;
  for (const SynthShape& shape : kShapes) known.append(" ").append(shape.name);
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("unknown shape '{}'; known are{}", name, known));
}

}  // namespace crossover::engine
