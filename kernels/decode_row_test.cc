// Rows to float and back, against quant's scalar code: not close, the same.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "kernels/huge_pages.h"
#include "kernels/matrix_row.h"
#include "kernels/packed/pack.h"
#include "kernels/team.h"
#include "kernels/test_levels.h"
#include "kernels/test_weights.h"

namespace crossover::kernels {
namespace {

using quant::Format;

bool Same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void CheckDecode(const TestWeights& weights) {
  std::vector<float> out(weights.values.size() + 1, 12345.0f);
  DecodeRow(weights.format, weights.bytes.data(), weights.values.size(), out.data());
  CHECK(out.back() == 12345.0f);  // nothing behind the row
  for (size_t i = 0; i < weights.values.size(); ++i) {
    CAPTURE(i);
    REQUIRE(out[i] == weights.values[i]);
  }
}

TEST_CASE_TEMPLATE("decode: every format gives the reference's floats", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const quant::FormatInfo& info : quant::Formats()) {
    CAPTURE(info.name);
    for (const WeightKind kind : kWeightKinds) {
      CAPTURE(KindName(kind));
      for (const size_t blocks : {1, 2, 3, 5, 19}) {
        CheckDecode(RandomWeights(info.format, 1, blocks * info.block_weights, kind, 42));
      }
    }
  }
}

TEST_CASE_TEMPLATE("decode: a packed matrix gives the same floats, row by row", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  Team team(2);
  for (const quant::FormatInfo& info : quant::Formats()) {
    if (!HasPackedForm(info.format)) continue;
    CAPTURE(info.name);
    for (const WeightKind kind : kWeightKinds) {
      CAPTURE(KindName(kind));
      const size_t cols = 3 * info.block_weights;
      const size_t rows = 37;
      const TestWeights weights = RandomWeights(info.format, rows, cols, kind, 7);
      Matrix matrix{info.format, weights.bytes.data(), rows, cols};
      const Bytes packed = AllocateBytes(PackedBytes(matrix));
      team.Run([&](const Worker& worker) { Pack(worker, matrix, packed.get()); });
      matrix.data = packed.get();
      matrix.layout = Layout::kPacked;
      std::vector<float> out(cols + 1, 12345.0f);
      for (size_t r = 0; r < rows; ++r) {
        DecodeMatrixRow(matrix, r, out.data());
        CHECK(out.back() == 12345.0f);
        for (size_t i = 0; i < cols; ++i) {
          CAPTURE(i);
          REQUIRE(out[i] == weights.values[r * cols + i]);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("decode: all 65536 halves and bfloat16s", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> out(bits.size());
  DecodeRow(quant::F16::kFormat, bits.data(), bits.size(), out.data());
  for (size_t i = 0; i < bits.size(); ++i) REQUIRE(Same(out[i], quant::HalfBitsToFloat(bits[i])));
  DecodeRow(quant::BF16::kFormat, bits.data(), bits.size(), out.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    REQUIRE(Same(out[i], quant::BFloat16BitsToFloat(bits[i])));
  }
}

/// Floats at and around what 16 bits can hold: every representable value, the midpoint to the next
/// one, and that midpoint's neighbours.
std::vector<float> RoundingCases(float (*widen)(uint16_t)) {
  std::vector<float> cases;
  for (uint32_t i = 0; i < 65536; i += 7) {
    const float value = widen(static_cast<uint16_t>(i));
    const float next = widen(static_cast<uint16_t>(i + 1));
    const float middle = value / 2 + next / 2;
    for (const float x :
         {value, middle, std::nextafter(middle, 1e38f), std::nextafter(middle, -1e38f)}) {
      if (std::isfinite(x)) cases.push_back(x);
    }
  }
  for (const float x : {65519.99f, 65520.0f, 65536.0f, 1e38f, 1e-45f, 2.98e-8f,
                        std::numeric_limits<float>::infinity()}) {
    cases.insert(cases.end(), {x, -x});
  }
  return cases;
}

void CheckEncode(Format format, const std::vector<float>& row) {
  const quant::FormatInfo& info = quant::Info(format);
  std::vector<uint8_t> expected(info.row_bytes(row.size()) + 1, 0xa5);
  std::vector<uint8_t> out = expected;
  info.encode(row.data(), row.size(), nullptr, expected.data());
  EncodeRow(format, row.data(), row.size(), out.data());
  for (size_t i = 0; i < out.size(); ++i) {
    CAPTURE(info.name);
    CAPTURE(i / info.block_bytes);
    CAPTURE(i % info.block_bytes);
    REQUIRE(int{out[i]} == int{expected[i]});
  }
}

TEST_CASE_TEMPLATE("encode: 16-bit floats round to nearest even", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  CheckEncode(quant::F16::kFormat, RoundingCases(quant::HalfBitsToFloat));
  CheckEncode(quant::BF16::kFormat, RoundingCases(quant::BFloat16BitsToFloat));
  CheckEncode(quant::F32::kFormat, RoundingCases(quant::HalfBitsToFloat));

  const std::vector<float> nans(32, std::numeric_limits<float>::quiet_NaN());
  for (const Format format : {quant::F16::kFormat, quant::BF16::kFormat}) {
    std::vector<uint16_t> bits(nans.size());
    EncodeRow(format, nans.data(), nans.size(), bits.data());
    std::vector<float> back(nans.size());
    quant::Info(format).decode(bits.data(), bits.size(), back.data());
    for (const float x : back) REQUIRE(std::isnan(x));
  }
}

TEST_CASE_TEMPLATE("encode: 8- and 4-bit blocks are the reference's bytes", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (const Format format : {quant::Q8_0::kFormat, quant::Q4_0::kFormat}) {
    for (const float scale : {1.0f, 1e-3f, 1e-6f, 6e4f}) {
      std::vector<float> row(32 * 500);
      for (float& x : row) x = scale * normal(random);
      CheckEncode(format, row);
    }
    // Exact ties: with a maximum of 127 (or -8) the codes are the values themselves.
    std::vector<float> ties(32 * 16);
    for (size_t i = 0; i < ties.size(); ++i) {
      const auto step = static_cast<float>(static_cast<int>(random() % 500) - 250);
      ties[i] = i % 32 == 0 ? 127.0f : 0.5f * step;
      if (format == quant::Q4_0::kFormat) ties[i] = i % 32 == 0 ? -8.0f : step / 32.0f;
    }
    CheckEncode(format, ties);
    CheckEncode(format, std::vector<float>(64, 0.0f));
  }
}

TEST_CASE("encode: a format that no KV page has is refused") {
  const std::vector<float> row(256);
  std::vector<uint8_t> out(1024);
  CHECK_THROWS_AS(EncodeRow(quant::Q4_K::kFormat, row.data(), row.size(), out.data()), Error);
}

}  // namespace
}  // namespace crossover::kernels
