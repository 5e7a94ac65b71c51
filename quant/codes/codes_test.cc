#include "quant/codes/codes.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "quant/format_list.h"
#include "quant/test_data.h"

namespace crossover::quant {
namespace {

TEST_CASE("codes: what a row decodes to is found again, and put back bit for bit") {
  const std::vector<float> row = test::Gaussian(1024, 31);
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    const CodeFace* face = CodesOf(info.format);
    const std::string_view name = info.name;
    const auto begins = [&](const char* start) { return name.starts_with(start); };
    const bool uneven = begins("IQ1") || begins("IQ2") || begins("IQ3") || begins("TQ") ||
                        begins("MXFP4") || begins("NVFP4") || begins("Q1_0");
    REQUIRE((face != nullptr) == (info.quantized && !uneven));
    if (face == nullptr) continue;
    std::vector<uint8_t> blocks(info.row_bytes(row.size()));
    info.encode(row.data(), row.size(), nullptr, blocks.data());
    std::vector<float> values(row.size()), base(row.size()), scale(row.size());
    info.decode(blocks.data(), row.size(), values.data());
    ReadGrid(info.format, blocks.data(), row.size(), {base, scale});
    std::vector<uint8_t> codes(row.size());
    for (size_t i = 0; i < row.size(); ++i) {
      codes[i] = NearestCode(*face, base[i], scale[i], values[i]);
      REQUIRE(base[i] + scale[i] * face->steps[codes[i]] ==
              doctest::Approx(values[i]).epsilon(1e-4));
    }
    std::vector<uint8_t> again = blocks;
    const std::vector<uint8_t> zeros(row.size(), 0);
    PutCodes(info.format, zeros.data(), row.size(), again.data());
    CHECK(again != blocks);
    PutCodes(info.format, codes.data(), row.size(), again.data());
    CHECK(again == blocks);
  }
}

TEST_CASE("codes: the nearest of all levels, by definition") {
  const std::vector<float> row = test::Gaussian(512, 32);
  for (const FormatInfo& info : Formats()) {
    const CodeFace* face = CodesOf(info.format);
    if (face == nullptr) continue;
    CAPTURE(info.name);
    for (const float scale : {0.03f, -0.02f}) {
      for (size_t i = 0; i < row.size(); ++i) {
        const float base = 0.1f;
        const uint8_t code = NearestCode(*face, base, scale, row[i]);
        const auto miss = [&](size_t c) {
          return std::abs(base + scale * face->steps[c] - row[i]);
        };
        float least = miss(0);
        for (size_t c = 1; c < face->levels; ++c) least = std::min(least, miss(c));
        REQUIRE(miss(code) <= least + 1e-6f);
      }
    }
  }
}

}  // namespace
}  // namespace crossover::quant
