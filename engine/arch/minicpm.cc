// MiniCPM 1 to 4 (arXiv 2404.06395, 2506.07900): Granite's layer. Files of before 2025 have no keys
// for the scales, which are those of the first models then.
#include <cmath>

#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {
namespace {

ModelConfig ReadConfig(const GgufFile& file) {
  ModelConfig config = ReadDecoderConfig(file, {.rope = kernels::RopeStyle::kInterleaved});
  const Keys keys(file);
  ReadScales(keys, config);
  constexpr float kBaseWidth = 256;
  if (!keys.Has("embedding_scale")) config.embedding_scale = 12.0f;
  if (!keys.Has("residual_scale")) {
    config.residual_scale = 1.4f / std::sqrt(static_cast<float>(config.layers));
  }
  if (!keys.Has("logit_scale")) config.logit_scale = kBaseWidth / static_cast<float>(config.dim);
  return config;
}

constexpr std::string_view kHfKeys[] = {"scale_emb", "scale_depth", "dim_model_base"};

void ReadHf(const JsonObject& config, HfConfig& facts) {
  facts.qkv_bias = facts.output_bias = false;
  const auto dim = static_cast<double>(facts.dim), layers = static_cast<double>(facts.layers);
  facts.own.emplace_back("embedding_scale", GgufFloat(PositiveOf(config, "scale_emb")));
  facts.own.emplace_back("residual_scale",
                         GgufFloat(PositiveOf(config, "scale_depth") / std::sqrt(layers)));
  facts.own.emplace_back("logit_scale", GgufFloat(dim / PositiveOf(config, "dim_model_base")));
}

}  // namespace

const Architecture kMiniCpm{
    "minicpm", ReadConfig, {}, {"embedding_scale", "residual_scale", "logit_scale"}};

const HfFamily kMiniCpmHf{.model = "MiniCPMForCausalLM",
                          .type = "minicpm",
                          .gguf = "minicpm",
                          .halves = true,
                          .tied = true,
                          .keys = kHfKeys,
                          .read = ReadHf};

}  // namespace crossover::engine
