#include "quant/half.h"

#include <bit>
#include <cmath>
#include <limits>

#include "quant/test_data.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

static_assert(HalfBitsToFloat(0x3c00) == 1.0f);
static_assert(FloatToHalfBits(65504.0f) == 0x7bff);
static_assert(FloatToBFloat16Bits(1.0f) == 0x3f80);

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The value by its definition.
double HalfValue(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

TEST_CASE("half: every finite value converts exactly and back") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if ((half & 0x7c00) == 0x7c00) continue;
    REQUIRE(double{HalfBitsToFloat(half)} == HalfValue(half));
    REQUIRE(FloatToHalfBits(HalfBitsToFloat(half)) == half);
  }
}

TEST_CASE("half: between two neighbours the nearer wins, the even one on a tie") {
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const auto next = static_cast<uint16_t>(half + 1);
    const auto middle = static_cast<float>((HalfValue(half) + HalfValue(next)) / 2);
    REQUIRE(FloatToHalfBits(middle) == (half % 2 == 0 ? half : next));
    REQUIRE(FloatToHalfBits(std::nextafter(middle, 0.0f)) == half);
    REQUIRE(FloatToHalfBits(std::nextafter(middle, kInfinity)) == next);
    REQUIRE(FloatToHalfBits(-middle) == (0x8000 | (half % 2 == 0 ? half : next)));
  }
}

TEST_CASE("half: overflow, infinities and NaN") {
  CHECK(FloatToHalfBits(std::nextafter(65520.0f, 0.0f)) == 0x7bff);
  CHECK(FloatToHalfBits(65520.0f) == 0x7c00);
  CHECK(FloatToHalfBits(-1e38f) == 0xfc00);
  CHECK(FloatToHalfBits(kInfinity) == 0x7c00);
  CHECK(HalfBitsToFloat(0xfc00) == -kInfinity);
  CHECK(FloatToHalfBits(std::numeric_limits<float>::denorm_min()) == 0);
  CHECK(FloatToHalfBits(-0.0f) == 0x8000);
  const uint16_t nan = FloatToHalfBits(std::numeric_limits<float>::quiet_NaN());
  CHECK((nan & 0x7c00) == 0x7c00);
  CHECK((nan & 0x03ff) != 0);
  CHECK(std::isnan(HalfBitsToFloat(0x7c01)));
}

TEST_CASE("bfloat16: rounds to nearest even, keeps infinities and NaN") {
  test::Generator generator(3);
  for (int i = 0; i < 100000; ++i) {
    const uint32_t bits = generator.Bits(32);
    const auto value = std::bit_cast<float>(bits);
    if (!std::isfinite(value)) continue;
    const auto lower = static_cast<uint16_t>(bits >> 16);
    const uint32_t rest = bits & 0xffff;
    const bool up = rest > 0x8000 || (rest == 0x8000 && lower % 2 == 1);
    REQUIRE(FloatToBFloat16Bits(value) == static_cast<uint16_t>(lower + up));
  }
  for (uint32_t bits = 0; bits < 0x10000; bits += 3) {
    const auto half = static_cast<uint16_t>(bits);
    if (std::isnan(BFloat16BitsToFloat(half))) continue;
    REQUIRE(FloatToBFloat16Bits(BFloat16BitsToFloat(half)) == half);
  }
  CHECK(FloatToBFloat16Bits(-kInfinity) == 0xff80);
  CHECK(std::isnan(BFloat16BitsToFloat(FloatToBFloat16Bits(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace crossover::quant
