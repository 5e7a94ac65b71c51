#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "quant/format.h"
#include "quant/format_list.h"
#include "quant/test_data.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

constexpr size_t kWeights = 16384;

struct Expectation {
  double rmse;           // on Gaussian(kWeights, 1)
  double weighted_rmse;  // with and by Importance(kWeights, 2)
  uint64_t hash;         // FNV-1a of the blocks
  uint64_t weighted_hash;
  bool idempotent;  // encoding what was decoded changes nothing
};

// Measured from what llama.cpp's quantisers (August 2026) make of the same rows. A search that gets
// better or worse shows in the errors, an accident of any size in the hashes.
const std::map<std::string_view, Expectation>& Expectations() {
  static const std::map<std::string_view, Expectation> all = {
      {"F32", {0.000000, 0.000000, 0xda648229bb45c7d5, 0xda648229bb45c7d5, true}},
      {"F16", {0.000209, 0.000214, 0xf75b4ba1343bc9e6, 0xf75b4ba1343bc9e6, true}},
      {"BF16", {0.001669, 0.001683, 0x75828363ceb5e4d2, 0x75828363ceb5e4d2, true}},
      {"Q4_0", {0.083837, 0.069556, 0x63e8dbcdde4612eb, 0x88f0d55b0014e39a, true}},
      {"Q4_1", {0.076783, 0.054624, 0x4da66955d44e762e, 0xaaf5c953802303ee, true}},
      {"Q5_0", {0.041446, 0.034135, 0xcb0892c9ede8782c, 0xadcb648eec89ce96, true}},
      {"Q5_1", {0.037224, 0.026308, 0xd79d411d154b850c, 0x400f8b94e4544dfd, true}},
      {"Q8_0", {0.005226, 0.005228, 0xe96a33585c0ae066, 0xe96a33585c0ae066, true}},
      {"Q2_K", {0.290310, 0.197948, 0x161eefe8d0e04cfc, 0x03151a16c762854f, false}},
      {"Q3_K", {0.148302, 0.119197, 0xfc4f259f1149b8f6, 0x6735c0742218b024, false}},
      {"Q4_K", {0.069866, 0.055856, 0xfb605668e00c8d93, 0xed9a2c2826159dc6, false}},
      {"Q5_K", {0.035614, 0.028776, 0x376441064fc54225, 0x0ddcd8a46b6e897b, false}},
      {"Q6_K", {0.017445, 0.014436, 0xfdcf99a897afd339, 0x18372dc60919c300, false}},
      {"IQ4_NL", {0.075178, 0.062342, 0xb9f7caa173664fcd, 0x669f27761886f2f4, false}},
      {"IQ4_XS", {0.075791, 0.063118, 0x25e2a6a094a9095e, 0xc0216e736664eff4, false}},
      // The reference leaves importance out of account here: the second error and hash are ours.
      {"Q2_0", {0.711858, 0.336361, 0x9905ae112cf13d04, 0xf35b4e55eefdc5f8, true}},
      {"TQ1_0", {0.798655, 0.431885, 0x672775913a01fda4, 0x6f3aea1c69ea50d6, true}},
      {"TQ2_0", {0.798655, 0.431885, 0x55f11948af8a064b, 0x147e9afaca3a5196, true}},
      {"MXFP4", {0.116231, 0.110024, 0x3be9fc2fd4038780, 0x9f2721b8fb320e06, true}},
      {"NVFP4", {0.096737, 0.066221, 0xe820a6fd095692c7, 0x4b725016fc791432, true}},
      {"Q1_0", {0.594008, 0.585306, 0x560a2591da235bba, 0xa679829f05914cec, true}},
      // Codebooks: all ours; CodebookBounds() has the reference's errors.
      {"IQ2_XXS", {0.332738, 0.219789, 0xf5975a90cdb80dcf, 0xd9a0dde4fe24572b, false}},
      {"IQ2_XS", {0.288929, 0.188585, 0x64a2265e20c4225e, 0x3bc69e63f62541a4, false}},
      {"IQ2_S", {0.240123, 0.174671, 0x83637a13bccd15ca, 0x0031b27dea879f41, false}},
      {"IQ3_XXS", {0.179878, 0.109021, 0x58adf0c9e177d8c3, 0x406bf5e51867dd8b, false}},
      {"IQ3_S", {0.130314, 0.089103, 0xf82feffdcc20b538, 0xddd51dec887f3d81, false}},
      {"IQ1_S", {0.452536, 0.355509, 0xc4e98191585622a7, 0x3b901e1d85348e67, false}},
      {"IQ1_M", {0.421037, 0.302328, 0x7c73785fdb895feb, 0xd3b736e3e93a7a62, false}},
  };
  return all;
}

/// The errors of llama.cpp's quantisers (b11739) of codebooks on the same rows, without importance
/// (0 where it asks for one) and with.
struct CodebookBound {
  double rmse;
  double weighted_rmse;
};
const std::map<std::string_view, CodebookBound>& CodebookBounds() {
  static const std::map<std::string_view, CodebookBound> all = {
      {"IQ2_XXS", {0.0, 0.319269}},    {"IQ2_XS", {0.0, 0.212949}},
      {"IQ2_S", {0.261572, 0.195606}}, {"IQ3_XXS", {0.212684, 0.122478}},
      {"IQ3_S", {0.164191, 0.102635}}, {"IQ1_S", {0.0, 0.384765}},
      {"IQ1_M", {0.583679, 0.326988}},
  };
  return all;
}

/// Formats with so few values, or values so far apart, that one weight alone cannot be kept.
bool IsCoarse(const FormatInfo& info) {
  return CodebookBounds().contains(info.name) || info.format == Q1_0::kFormat ||
         info.format == MXFP4::kFormat || info.format == NVFP4::kFormat;
}

uint64_t Fnv1a(const std::vector<uint8_t>& bytes) {
  uint64_t hash = 14695981039346656037u;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211u;
  return hash;
}

std::vector<uint8_t> Encode(const FormatInfo& info, const std::vector<float>& row,
                            const float* importance = nullptr) {
  std::vector<uint8_t> blocks(info.row_bytes(row.size()));
  info.encode(row.data(), row.size(), importance, blocks.data());
  return blocks;
}

std::vector<float> Decode(const FormatInfo& info, const std::vector<uint8_t>& blocks,
                          size_t weights) {
  std::vector<float> row(weights);
  info.decode(blocks.data(), weights, row.data());
  return row;
}

std::vector<float> RoundTrip(const FormatInfo& info, const std::vector<float>& row,
                             const float* importance = nullptr) {
  return Decode(info, Encode(info, row, importance), row.size());
}

bool AllFinite(const std::vector<float>& row) {
  return std::ranges::all_of(row, [](float x) { return std::isfinite(x); });
}

TEST_CASE("encode: error and bytes are those of the reference quantisers") {
  const std::vector<float> row = test::Gaussian(kWeights, 1);
  const std::vector<float> importance = test::Importance(kWeights, 2);
  for (const FormatInfo& info : Formats()) {
    if (GShapeOf(info.format)) continue;  // no quantiser but ours; g/g_test.cc
    CAPTURE(info.name);
    REQUIRE(Expectations().contains(info.name));
    const Expectation& expected = Expectations().at(info.name);
    const std::vector<uint8_t> plain = Encode(info, row);
    const double rmse = test::Rmse(Decode(info, plain, kWeights), row);
    CHECK(rmse >= 0.99 * expected.rmse);
    CHECK(rmse <= 1.01 * expected.rmse);
    CHECK(Fnv1a(plain) == expected.hash);

    const std::vector<uint8_t> weighted = Encode(info, row, importance.data());
    const double weighted_rmse = test::Rmse(Decode(info, weighted, kWeights), row, importance);
    CHECK(weighted_rmse >= 0.99 * expected.weighted_rmse);
    CHECK(weighted_rmse <= 1.01 * expected.weighted_rmse);
    CHECK(Fnv1a(weighted) == expected.weighted_hash);
  }
}

TEST_CASE("encode: codebooks leave less error than the reference quantisers") {
  for (const auto& [name, bound] : CodebookBounds()) {
    CAPTURE(name);
    const Expectation& ours = Expectations().at(name);
    if (bound.rmse != 0.0) CHECK(ours.rmse < bound.rmse);
    CHECK(ours.weighted_rmse < bound.weighted_rmse);
  }
}

TEST_CASE("encode: importance lowers the error where it counts") {
  const std::vector<float> row = test::Gaussian(kWeights, 3);
  const std::vector<float> importance = test::Importance(kWeights, 4);
  for (const FormatInfo& info : Formats()) {
    if (GShapeOf(info.format)) continue;  // by groups, in g/g_test.cc
    CAPTURE(info.name);
    const double plain = test::Rmse(RoundTrip(info, row), row, importance);
    const double weighted = test::Rmse(RoundTrip(info, row, importance.data()), row, importance);
    if (info.format == MXFP4::kFormat || info.format == Q1_0::kFormat) {
      CHECK(weighted < plain);  // scales that are powers of two, or the only thing to choose
    } else if (info.quantized && info.format != Q8_0::kFormat) {
      CHECK(weighted < 0.9 * plain);
    } else {
      CHECK(weighted == plain);
    }
  }
}

TEST_CASE("encode: what was decoded encodes to itself") {
  const std::vector<float> row = test::Gaussian(kWeights, 5);
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    const std::vector<float> once = RoundTrip(info, row);
    const std::vector<float> twice = RoundTrip(info, once);
    if (!GShapeOf(info.format) && Expectations().at(info.name).idempotent) {
      CHECK(once == twice);
    } else {
      // The searches may move on, but not far.
      CHECK(test::Rmse(once, twice) < 0.5 * test::Rmse(once, row));
    }
  }
}

TEST_CASE("encode: zeros stay zeros") {
  const std::vector<float> zeros(512);
  const std::vector<float> importance = test::Importance(512, 7);
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    CHECK(RoundTrip(info, zeros) == zeros);
    CHECK(RoundTrip(info, zeros, importance.data()) == zeros);
    // A zero block among others, and columns that count nothing at all.
    std::vector<float> row = test::Gaussian(512, 8);
    std::fill(row.begin() + 256, row.end(), 0.0f);
    const std::vector<float> decoded = RoundTrip(info, row);
    CHECK(std::all_of(decoded.begin() + 256, decoded.end(), [](float x) { return x == 0.0f; }));
    CHECK(AllFinite(RoundTrip(info, row, zeros.data())));
  }
}

TEST_CASE("encode: a constant row comes back nearly unchanged") {
  for (const float value : {0.25f, -3.0f, 1000.0f, 65504.0f, -65504.0f}) {
    const std::vector<float> row(512, value);
    for (const FormatInfo& info : Formats()) {
      CAPTURE(info.name);
      CAPTURE(value);
      // 4-bit floats have no value near 1000, and NVFP4 without its matrix's factor none near
      // 65504.
      if (info.format == MXFP4::kFormat || info.format == NVFP4::kFormat) continue;
      const double bound = info.format == BF16::kFormat ? 0.004 : 0.01;
      CHECK(test::Rmse(RoundTrip(info, row), row) <= bound * std::abs(value));
    }
  }
}

TEST_CASE("encode: the largest halves of both signs") {
  std::vector<float> row(512);
  for (size_t i = 0; i < row.size(); ++i) row[i] = i % 3 == 0 ? 65504.0f : -65504.0f;
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    const std::vector<float> decoded = RoundTrip(info, row);
    CHECK(AllFinite(decoded));
    if (info.format == NVFP4::kFormat) continue;  // lacks its matrix's factor
    // The signed formats of few levels have one more below zero than above; codebooks that have no
    // sign to spare turn one of eight.
    CHECK(test::Rmse(decoded, row) <= (IsCoarse(info) ? 0.7 : 0.25) * 65504.0);
  }
}

TEST_CASE("encode: one huge outlier neither overflows nor disappears") {
  std::vector<float> row = test::Gaussian(512, 9);
  row[100] = 10000.0f;
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    const std::vector<float> decoded = RoundTrip(info, row);
    CHECK(AllFinite(decoded));
    if (!IsCoarse(info)) CHECK(decoded[100] == doctest::Approx(row[100]).epsilon(0.02));
  }
}

TEST_CASE("encode: denormals and tiny values give finite blocks close to zero") {
  for (const float scale : {1e-44f, 1e-40f, 1e-30f, 1e-16f, 1e-9f}) {
    std::vector<float> row = test::Gaussian(512, 10);
    for (float& value : row) value *= scale;
    const std::vector<float> importance = test::Importance(512, 11);
    for (const FormatInfo& info : Formats()) {
      CAPTURE(info.name);
      CAPTURE(scale);
      for (const float* weights : {static_cast<const float*>(nullptr), importance.data()}) {
        for (const float value : RoundTrip(info, row, weights)) {
          REQUIRE(std::abs(value) <= 8.0f * scale + 1e-5f);
        }
      }
    }
  }
}

TEST_CASE("encode: finite values beyond a format's range are no undefined behaviour") {
  std::vector<float> row = test::Gaussian(512, 12);
  row[3] = 1e30f;
  row[300] = -3e38f;
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    // What comes out shows it: an infinite scale, or an error as large as the values.
    const double rmse = test::Rmse(RoundTrip(info, row), row);
    CHECK((info.format == F32::kFormat ? rmse == 0.0 : !(rmse < 1e20)));
  }
}

TEST_CASE("encode: blocks beyond a multiple of the lanes are encoded like the others") {
  const std::vector<float> block = test::Gaussian(256, 13);
  const std::vector<float> block_importance = test::Importance(256, 14);
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    const size_t unit = info.block_weights == 1 ? 32 : info.block_weights;
    for (size_t count = 1; count <= 7; ++count) {
      CAPTURE(count);
      std::vector<float> row;
      std::vector<float> importance;
      for (size_t i = 0; i < count; ++i) {
        row.insert(row.end(), block.begin(), block.begin() + static_cast<ptrdiff_t>(unit));
        importance.insert(importance.end(), block_importance.begin(),
                          block_importance.begin() + static_cast<ptrdiff_t>(unit));
      }
      const std::vector<uint8_t> encoded = Encode(info, row, importance.data());
      const size_t bytes = info.row_bytes(unit);
      for (size_t i = 1; i < count; ++i) {
        CHECK(std::equal(encoded.begin(), encoded.begin() + static_cast<ptrdiff_t>(bytes),
                         encoded.begin() + static_cast<ptrdiff_t>(i * bytes)));
      }
    }
  }
}

}  // namespace
}  // namespace crossover::quant
