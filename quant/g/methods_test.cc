#include "quant/g/methods.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/format_list.h"
#include "quant/test_data.h"

namespace crossover::quant {
namespace {

using Row = std::vector<float>;

Row Decoded(const FormatInfo& info, const std::vector<uint8_t>& blocks, size_t weights) {
  Row out(weights);
  info.decode(blocks.data(), weights, out.data());
  return out;
}

Row ByRange(const FormatInfo& info, const Row& row) {
  std::vector<uint8_t> blocks(info.row_bytes(row.size()));
  EncodeGByRange(*GShapeOf(info.format), row, blocks.data());
  return Decoded(info, blocks, row.size());
}

Row ByLeastSquares(const FormatInfo& info, const Row& row, const float* importance) {
  std::vector<uint8_t> blocks(info.row_bytes(row.size()));
  EncodeGByLeastSquares(*GShapeOf(info.format), row, importance, blocks.data());
  return Decoded(info, blocks, row.size());
}

template <class Visit>
void ForEachG(const Visit& visit) {
  for (const FormatInfo& info : Formats()) {
    if (const auto shape = GShapeOf(info.format)) {
      CAPTURE(info.name);
      visit(info, *shape);
    }
  }
}

TEST_CASE("g: rounding to nearest is never off by more than half a step of the range") {
  const Row row = test::Gaussian(2048, 41);
  ForEachG([&](const FormatInfo& info, const GShape& shape) {
    const Row out = ByRange(info, row);
    for (size_t begin = 0; begin < row.size(); begin += shape.group) {
      float low = 0, high = 0;
      for (size_t i = begin; i < begin + shape.group; ++i) {
        low = std::min(low, row[i]), high = std::max(high, row[i]);
      }
      const float range = shape.zero ? high - low : 2 * std::max(-low, high);
      const float step = range / static_cast<float>((1u << shape.bits) - 1);
      // A rounded zero point moves the range by up to half a step; scales are halves.
      const float most = (shape.zero ? 1.01f : 0.51f) * step + range * 0x1p-10f;
      for (size_t i = begin; i < begin + shape.group; ++i) {
        REQUIRE(std::abs(out[i] - row[i]) <= most);
      }
    }
  });
}

TEST_CASE("g: least squares come below rounding and the family's search in what they minimise") {
  const Row row = test::Gaussian(4096, 42);
  const Row importance = test::Importance(4096, 43);
  ForEachG([&](const FormatInfo& info, const GShape& shape) {
    std::vector<uint8_t> blocks(info.row_bytes(row.size()));
    info.encode(row.data(), row.size(), importance.data(), blocks.data());
    const double own = test::Rmse(Decoded(info, blocks, row.size()), row, importance);
    const double rounded = test::Rmse(ByRange(info, row), row, importance);
    const double found = test::Rmse(ByLeastSquares(info, row, importance.data()), row, importance);
    CHECK(found <= own * 1.0001);
    CHECK(found < (shape.bits <= 3 ? 0.85 : 1.0) * rounded);
    CHECK(test::Rmse(ByLeastSquares(info, row, nullptr), row, Row(row.size(), 1.0f)) <
          test::Rmse(ByRange(info, row), row, Row(row.size(), 1.0f)));
  });
}

TEST_CASE("g: both methods keep zeros, constants and what the grid holds") {
  ForEachG([&](const FormatInfo& info, const GShape& shape) {
    for (const float value : {0.0f, 0.375f, -3.0f}) {
      const Row row(256, value);
      for (const Row& out : {ByRange(info, row), ByLeastSquares(info, row, nullptr)}) {
        for (const float v : out) {
          REQUIRE(std::abs(v - value) <=
                  std::abs(value) * (shape.zero ? 0x1p-9f : 1.01f / (1u << (shape.bits - 1))));
        }
      }
    }
  });
}

}  // namespace
}  // namespace crossover::quant
