#include <array>

#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"

namespace crossover::engine {

std::span<const Architecture> Architectures() {
  static const std::array kAll{
      kLlama,     kQwen2,      kQwen3,      kPhi3,     kGemma2,   kGemma3,  kSmolLm3,      kOlmo2,
      kGranite,   kGraniteMoe, kMistral3,   kExaone,   kExaone4,  kGlm4,    kHunyuanDense, kErnie45,
      kInternLm2, kMiniCpm,    kSeedOss,    kArcee,    kQwen3Moe, kGptOss,  kGptNeox,      kGpt2,
      kPhi2,      kStableLm,   kStarCoder2, kCommandR, kCohere2,  kNemotron};
  return kAll;
}

std::span<const HfFamily* const> HfFamilies() {
  static constexpr std::array kAll{
      &kLlamaHf,      &kMistralHf, &kQwen2Hf,      &kQwen3Hf,   &kSmolLm3Hf, &kOlmo2Hf,
      &kOlmo3Hf,      &kGraniteHf, &kMinistral3Hf, &kExaone4Hf, &kGlm4Hf,    &kHunyuanHf,
      &kErnie45Hf,    &kMiniCpmHf, &kSeedOssHf,    &kArceeHf,   &kPhiHf,     &kStableLmHf,
      &kStarCoder2Hf, &kCohereHf,  &kCohere2Hf,    &kNemotronHf};
  return kAll;
}

}  // namespace crossover::engine
