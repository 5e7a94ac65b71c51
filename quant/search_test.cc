#include "quant/search.h"

#include <cmath>

#include "quant/search_iq4.h"
#include "quant/test_data.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

constexpr size_t kLength = 32;

/// Four sub-blocks: Gaussian, zero, constant, positive.
std::vector<float> Blocks() {
  std::vector<float> x = test::Gaussian(kLanes * kLength, 5);
  for (size_t i = 0; i < kLength; ++i) {
    x[kLength + i] = 0.0f;
    x[2 * kLength + i] = -0.75f;
    x[3 * kLength + i] = std::abs(x[3 * kLength + i]) + 0.5f;
  }
  return x;
}

TEST_CASE("search: the lanes give what one sub-block at a time gives, to the bit") {
  const std::vector<float> x = Blocks();
  const std::vector<float> w = test::Importance(x.size(), 6);
  const auto lanes_x = LoadLanes<Lanes, kLength>(x.data());
  const auto lanes_w = LoadLanes<Lanes, kLength>(w.data());
  const AffineTries tries{-0.5f, 0.1f, 15, false};
  const auto affine = SearchAffine(lanes_x, lanes_w, 31.0f, tries);
  const auto signed_fit = SearchSigned(lanes_x, lanes_w, 32.0f);
  std::array<Lanes, kLength> lanes_codes;
  const Lanes swept = SearchSignedSweep(lanes_x, 4.0f, lanes_codes);
  const Lanes iq4 = SearchIq4(lanes_x, lanes_w);
  for (size_t s = 0; s < kLanes; ++s) {
    CAPTURE(s);
    const auto one_x = LoadLanes<float, kLength>(&x[s * kLength]);
    const auto one_w = LoadLanes<float, kLength>(&w[s * kLength]);
    const auto one_affine = SearchAffine(one_x, one_w, 31.0f, tries);
    CHECK(affine.scale[s] == one_affine.scale);
    CHECK(affine.min[s] == one_affine.min);
    CHECK(affine.code_scale[s] == one_affine.code_scale);
    CHECK(affine.code_min[s] == one_affine.code_min);
    const auto one_signed = SearchSigned(one_x, one_w, 32.0f);
    CHECK(signed_fit.scale[s] == one_signed.scale);
    CHECK(signed_fit.code_scale[s] == one_signed.code_scale);
    CHECK(signed_fit.code_offset[s] == one_signed.code_offset);
    std::array<float, kLength> one_codes;
    CHECK(swept[s] == SearchSignedSweep(one_x, 4.0f, one_codes));
    for (size_t i = 0; i < kLength; ++i) {
      const float code = lanes_codes[i][s];
      CHECK(code == one_codes[i]);
    }
    CHECK(iq4[s] == SearchIq4(one_x, one_w));
  }
}

TEST_CASE("search: zero and constant sub-blocks") {
  const std::vector<float> x = Blocks();
  const auto zero = LoadLanes<float, kLength>(&x[kLength]);
  const auto constant = LoadLanes<float, kLength>(&x[2 * kLength]);
  std::array<float, kLength> ones;
  ones.fill(1.0f);
  const AffineTries tries{-1.0f, 0.1f, 20, true};
  CHECK(SearchAffine(zero, ones, 15.0f, tries).scale == 0.0f);
  CHECK(SearchAffine(zero, ones, 15.0f, tries).min == 0.0f);
  CHECK(SearchAffine(constant, ones, 15.0f, tries).min == -0.75f);
  CHECK(SearchSigned(zero, ones, 8.0f).scale == 0.0f);
  CHECK(SearchIq4(zero, ones) == 0.0f);
  std::array<uint8_t, kLength> codes;
  CHECK(SearchPositive(zero, ones, 63.0f, codes) == 0.0f);
  CHECK(codes == std::array<uint8_t, kLength>{});
}

TEST_CASE("search: a grid that fits exactly is found") {
  std::array<float, kLength> x;
  std::array<float, kLength> ones;
  ones.fill(1.0f);
  for (size_t i = 0; i < kLength; ++i) x[i] = 0.25f * static_cast<float>(i % 16) - 1.5f;
  const auto affine = SearchAffine(x, ones, 15.0f, {-1.0f, 0.1f, 20, true});
  CHECK(affine.scale == doctest::Approx(0.25));
  CHECK(affine.min == doctest::Approx(-1.5));
  for (size_t i = 0; i < kLength; ++i) x[i] = 0.125f * static_cast<float>(i % 16);
  std::array<uint8_t, kLength> codes;
  CHECK(SearchPositive(x, ones, 15.0f, codes) == doctest::Approx(0.125));
  for (size_t i = 0; i < kLength; ++i) CHECK(codes[i] == i % 16);
}

TEST_CASE("search: the nearest level, midpoints up") {
  for (size_t i = 0; i < kIq4Levels.size(); ++i) {
    const float level = kIq4Levels[i];
    CHECK(NearestIq4Code(level) == i);
    CHECK(NearestIq4Level(level) == level);
    if (i == 0) continue;
    const float middle = 0.5f * (level + static_cast<float>(kIq4Levels[i - 1]));
    CHECK(NearestIq4Code(middle) == i);
    CHECK(NearestIq4Code(std::nextafter(middle, -1e9f)) == i - 1);
    CHECK(NearestIq4Level(middle) == level);
  }
  CHECK(NearestIq4Code(-1e30f) == 0);
  CHECK(NearestIq4Code(1e30f) == 15);
}

TEST_CASE("search: rounding is to nearest even, clamping keeps NaN out") {
  CHECK(Round(0.5f) == 0.0f);
  CHECK(Round(1.5f) == 2.0f);
  CHECK(Round(-2.5f) == -2.0f);
  CHECK(Round(-2.50001f) == -3.0f);
  CHECK(RoundClamped(1e30f, 0.0f, 15.0f) == 15.0f);
  CHECK(RoundClamped(-1e30f, 0.0f, 15.0f) == 0.0f);
  CHECK(RoundClamped(std::numeric_limits<float>::quiet_NaN(), 0.0f, 15.0f) == 0.0f);
  CHECK(Reciprocal(0.0f) == 0.0f);
  CHECK(Reciprocal(1e-45f) == 0.0f);
  CHECK(Reciprocal(-4.0f) == -0.25f);
}

}  // namespace
}  // namespace crossover::quant
