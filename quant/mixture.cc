#include "quant/mixture.h"

#include <algorithm>
#include <array>

#include "quant/format_list.h"

namespace crossover::quant {
namespace {

bool Always(const Place&) { return true; }
bool FirstTwo(const Place& place) { return place.index < 2; }
bool FirstFour(const Place& place) { return place.index < 4; }
bool FirstEighth(const Place& place) { return place.index < place.count / 8; }
bool FirstSixteenth(const Place& place) { return place.index < place.count / 16; }

/// A value matrix that four or more query heads share is small, and its errors count fourfold.
bool SharedValues(const Place& place) { return place.queries_per_kv >= 4; }

/// The first and the last eighth of the layers, and every third between.
bool MoreBits(const Place& place) {
  const uint32_t eighth = place.count / 8;
  return place.index < eighth || place.index >= 7 * place.count / 8 ||
         (place.index - eighth) % 3 == 2;
}

/// All but the first and the last eighth.
bool Middle(const Place& place) {
  return place.index >= place.count / 8 && place.index < 7 * place.count / 8;
}

bool WithoutImportance(const Place& place) { return !place.importance; }

bool FirstEighthWithImportance(const Place& place) {
  return place.importance && FirstEighth(place);
}

bool FirstEighthWithoutImportance(const Place& place) {
  return !place.importance && FirstEighth(place);
}

constexpr auto kQ2K = std::to_array<Rule>({
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
    {Role::kAttnV, Always, Q3_K::kFormat},
    {Role::kFfnDown, Always, Q3_K::kFormat},
    {Role::kAttnOutput, Always, Q3_K::kFormat},
});
// Formats for models that were trained on few values keep their embedding apart.
constexpr auto kQ20 = std::to_array<Rule>({
    {Role::kEmbedding, Always, Q4_K::kFormat},
});
constexpr auto kQ3KM = std::to_array<Rule>({
    {Role::kAttnV, FirstTwo, Q5_K::kFormat},
    {Role::kAttnV, Always, Q4_K::kFormat},
    {Role::kFfnDown, FirstSixteenth, Q5_K::kFormat},
    {Role::kFfnDown, Always, Q4_K::kFormat},
    {Role::kAttnOutput, Always, Q4_K::kFormat},
});
constexpr auto kQ3KL = std::to_array<Rule>({
    {Role::kAttnV, Always, Q5_K::kFormat},
    {Role::kFfnDown, Always, Q5_K::kFormat},
    {Role::kAttnOutput, Always, Q5_K::kFormat},
});
constexpr auto kQ40 = std::to_array<Rule>({
    {Role::kFfnDown, FirstEighthWithImportance, Q4_1::kFormat},
});
constexpr auto kQ50 = std::to_array<Rule>({
    {Role::kFfnDown, FirstEighthWithImportance, Q5_1::kFormat},
});
constexpr auto kQ4KS = std::to_array<Rule>({
    {Role::kAttnV, FirstFour, Q5_K::kFormat},
    {Role::kFfnDown, FirstEighth, Q5_K::kFormat},
});
constexpr auto kMedium = std::to_array<Rule>({
    {Role::kAttnV, MoreBits, Q6_K::kFormat},
    {Role::kFfnDown, MoreBits, Q6_K::kFormat},
});
constexpr auto kIq4 = std::to_array<Rule>({
    {Role::kAttnV, SharedValues, Q5_K::kFormat},
    {Role::kFfnDown, FirstEighthWithoutImportance, Q5_K::kFormat},
});

// Codebooks, which have no bits to spare: values, the first ffn_down, and where tokens come in and
// go out.
constexpr auto kIq1 = std::to_array<Rule>({
    {Role::kOutput, Always, Q5_K::kFormat},
    {Role::kEmbedding, Always, Q2_K::kFormat},
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
    {Role::kAttnV, Always, Q2_K::kFormat},
    {Role::kAttnOutput, Always, IQ2_XXS::kFormat},
    {Role::kFfnDown, FirstEighth, Q2_K::kFormat},
});
constexpr auto kIq2X = std::to_array<Rule>({
    {Role::kOutput, Always, Q5_K::kFormat},
    {Role::kEmbedding, Always, Q2_K::kFormat},
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
    {Role::kAttnV, Always, Q2_K::kFormat},
    {Role::kFfnDown, FirstEighth, Q2_K::kFormat},
});
constexpr auto kIq2SM = std::to_array<Rule>({
    {Role::kOutput, Always, Q5_K::kFormat},
    {Role::kEmbedding, Always, IQ3_S::kFormat},
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
    {Role::kAttnV, Always, IQ3_S::kFormat},
    {Role::kAttnOutput, Always, IQ3_S::kFormat},
    {Role::kFfnDown, FirstEighth, IQ3_S::kFormat},
});
constexpr auto kIq3Xxs = std::to_array<Rule>({
    {Role::kOutput, Always, Q5_K::kFormat},
    {Role::kEmbedding, Always, IQ3_S::kFormat},
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
    {Role::kAttnV, WithoutImportance, IQ3_S::kFormat},
    {Role::kAttnQ, Always, IQ2_S::kFormat},
    {Role::kAttnK, Always, IQ2_S::kFormat},
    {Role::kAttnOutput, Always, IQ3_S::kFormat},
    {Role::kFfnDown, FirstEighthWithoutImportance, Q4_K::kFormat},
    {Role::kFfnDown, WithoutImportance, Q3_K::kFormat},
});
constexpr auto kIq3Xs = std::to_array<Rule>({
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
    {Role::kAttnQ, Always, IQ3_XXS::kFormat},
    {Role::kAttnK, Always, IQ3_XXS::kFormat},
    {Role::kFfnGate, Middle, IQ3_XXS::kFormat},
    {Role::kFfnUp, Middle, IQ3_XXS::kFormat},
});
constexpr auto kIq3S = std::to_array<Rule>({
    {Role::kAttnV, SharedValues, Q4_K::kFormat},
});
constexpr auto kIq3M = std::to_array<Rule>({
    {Role::kAttnV, Always, Q4_K::kFormat},
    {Role::kAttnOutput, Always, Q4_K::kFormat},
    {Role::kFfnDown, FirstEighth, Q4_K::kFormat},
});

// The numbers are GGUF's general.file_type.
constexpr auto kMixtures = std::to_array<Mixture>({
    {{"F32", 0, F32::kFormat}, {}, false},
    {{"F16", 1, F16::kFormat}, {}, false},
    {{"BF16", 32, BF16::kFormat}, {}, false},
    {{"Q4_0", 2, Q4_0::kFormat}, kQ40, false},
    {{"Q4_1", 3, Q4_1::kFormat}, {}, false},
    {{"Q5_0", 8, Q5_0::kFormat}, kQ50, false},
    {{"Q5_1", 9, Q5_1::kFormat}, {}, false},
    {{"Q8_0", 7, Q8_0::kFormat}, {}, false},
    {{"Q2_K", 10, Q2_K::kFormat}, kQ2K, true},
    {{"Q3_K_S", 11, Q3_K::kFormat}, {}, true},
    {{"Q3_K_M", 12, Q3_K::kFormat}, kQ3KM, true},
    {{"Q3_K_L", 13, Q3_K::kFormat}, kQ3KL, false},
    {{"Q4_K_S", 14, Q4_K::kFormat}, kQ4KS, true},
    {{"Q4_K_M", 15, Q4_K::kFormat}, kMedium, true},
    {{"Q5_K_S", 16, Q5_K::kFormat}, {}, false},
    {{"Q5_K_M", 17, Q5_K::kFormat}, kMedium, false},
    {{"Q6_K", 18, Q6_K::kFormat}, {}, false},
    {{"IQ4_NL", 25, IQ4_NL::kFormat}, kIq4, true},
    {{"IQ4_XS", 30, IQ4_XS::kFormat}, kIq4, true},
    {{"Q2_0", 41, Q2_0::kFormat}, kQ20, false},
    {{"IQ1_S", 24, IQ1_S::kFormat}, kIq1, true},
    {{"IQ1_M", 31, IQ1_M::kFormat}, kIq1, true},
    {{"IQ2_XXS", 19, IQ2_XXS::kFormat}, kIq2X, true},
    {{"IQ2_XS", 20, IQ2_XS::kFormat}, kIq2X, true},
    {{"IQ2_S", 28, IQ2_XS::kFormat}, kIq2SM, true},
    {{"IQ2_M", 29, IQ2_S::kFormat}, kIq2SM, true},
    {{"IQ3_XXS", 23, IQ3_XXS::kFormat}, kIq3Xxs, true},
    {{"IQ3_XS", 22, IQ3_S::kFormat}, kIq3Xs, true},
    {{"IQ3_S", 26, IQ3_S::kFormat}, kIq3S, true},
    {{"IQ3_M", 27, IQ3_S::kFormat}, kIq3M, true},
    {{"TQ1_0", 36, TQ1_0::kFormat}, kQ20, false},
    {{"TQ2_0", 37, TQ2_0::kFormat}, kQ20, false},
    {{"MXFP4", 38, MXFP4::kFormat}, {}, false},
    {{"NVFP4", 39, NVFP4::kFormat}, {}, false},
    {{"Q1_0", 40, Q1_0::kFormat}, kQ20, false},
});

// The uniform family is for experiments with one variable: every matrix in the same format. The
// recipe's file type is the format's id.
constexpr auto kAllMixtures = [] {
  std::array<Mixture, kMixtures.size() + GFormats::kSize> all{};
  auto* next = std::ranges::copy(kMixtures, all.begin()).out;
  GFormats::ForEach([&]<class T>() {
    *next++ = {{T::kName, static_cast<uint32_t>(T::kFormat), T::kFormat}, {}, false, true};
  });
  return all;
}();

}  // namespace

std::span<const Mixture> Mixtures() { return kAllMixtures; }

}  // namespace crossover::quant
