#include "quant/unseen_columns.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "quant/format.h"
#include "quant/format_list.h"
#include "quant/test_data.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

constexpr size_t kColumns = 4096;

std::vector<float> RoundTrip(const FormatInfo& info, const std::vector<float>& row,
                             const float* importance) {
  std::vector<uint8_t> blocks(info.row_bytes(row.size()));
  info.encode(row.data(), row.size(), importance, blocks.data());
  std::vector<float> decoded(row.size());
  info.decode(blocks.data(), row.size(), decoded.data());
  return decoded;
}

double Rmse(const std::vector<float>& a, const std::vector<float>& b,
            const std::function<bool(size_t)>& counts) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!counts(i)) continue;
    sum += std::pow(double{a[i]} - double{b[i]}, 2);
    ++count;
  }
  return std::sqrt(sum / static_cast<double>(count));
}

TEST_CASE("unseen columns: their weights come out about as well as without importance") {
  std::vector<float> row = test::Gaussian(kColumns, 1);
  for (float& weight : row) weight *= 0.02f;
  struct Pattern {
    const char* name;
    std::function<bool(size_t)> unseen;
    float value;        // of the unseen
    float scale = 1;    // of all
    float outlier = 0;  // one of the seen
  };
  const std::vector<Pattern> patterns = {
      {"whole blocks", [](size_t i) { return i < kColumns / 4; }, 0.0f},
      {"every other column", [](size_t i) { return i % 2 == 0; }, 0.0f},
      {"eight by eight", [](size_t i) { return i / 8 % 2 == 0; }, 0.0f},
      {"all but one of a block", [](size_t i) { return i % 32 != 5; }, 0.0f},
      {"all but one in all", [](size_t i) { return i != 100; }, 0.0f},
      {"every third, beside a massive activation", [](size_t i) { return i % 3 == 0; }, 0.0f, 1,
       1e6f},
      {"next to nothing", [](size_t i) { return i < kColumns / 4 || i % 2 == 0; }, 1e-42f},
      {"all of them small", [](size_t i) { return i % 2 == 0; }, 0.0f, 1e-30f},
      {"all of them large", [](size_t i) { return i % 2 == 0; }, 0.0f, 1e30f},
  };
  for (const Pattern& pattern : patterns) {
    CAPTURE(pattern.name);
    std::vector<float> importance = test::Importance(kColumns, 2);
    if (pattern.outlier != 0) importance[7] = pattern.outlier;
    size_t unseen = 0;
    for (size_t i = 0; i < kColumns; ++i) {
      importance[i] = pattern.unseen(i) ? pattern.value : pattern.scale * importance[i];
      unseen += pattern.unseen(i);
    }
    CHECK(FillUnseenColumns(importance) == unseen);
    for (const FormatInfo& info : Formats()) {
      if (!info.quantized || info.format == Q2_0::kFormat) continue;  // gains all over the row
      CAPTURE(info.name);
      const std::vector<float> plain = RoundTrip(info, row, nullptr);
      const std::vector<float> weighted = RoundTrip(info, row, importance.data());
      // A codebook chooses several weights at once: heavy columns pull their neighbours along.
      const bool together = info.name.starts_with("IQ") && !info.name.starts_with("IQ4");
      CHECK(Rmse(weighted, row, pattern.unseen) <
            (together ? 2.2 : 1.7) * Rmse(plain, row, pattern.unseen));
      CHECK(Rmse(weighted, row, [](size_t) { return true; }) <
            (together ? 1.8 : 1.4) * Rmse(plain, row, [](size_t) { return true; }));
    }
  }
}

TEST_CASE("unseen columns: what was measured stays as it was, bit for bit") {
  std::vector<float> importance = test::Importance(kColumns, 3);
  for (size_t i = 0; i < kColumns; i += 5) importance[i] = 1e-8f;
  importance[7] = 1e6f;
  const std::vector<float> before = importance;
  CHECK(FillUnseenColumns(importance) == 0);
  CHECK(importance == before);

  // Among seen columns, one without data changes only itself.
  importance[9] = 0;
  CHECK(FillUnseenColumns(importance) == 1);
  CHECK(importance[9] > 0);
  CHECK(importance[9] < *std::ranges::max_element(before));
  importance[9] = before[9];
  CHECK(importance == before);
}

TEST_CASE("unseen columns: a matrix without any data weighs all alike") {
  std::vector<float> importance(64, 0.0f);
  importance[3] = -0.0f;
  CHECK(FillUnseenColumns(importance) == 64);
  CHECK(importance == std::vector<float>(64, 1.0f));
}

// The encoders look at ratios only.
TEST_CASE("unseen columns: importances scaled by a power of two give the same blocks") {
  const std::vector<float> row = test::Gaussian(kColumns, 4);
  const std::vector<float> importance = test::Importance(kColumns, 5);
  std::vector<float> scaled = importance;
  for (float& value : scaled) value = std::ldexp(value, -60);
  CHECK(FillUnseenColumns(scaled) == 0);
  for (const FormatInfo& info : Formats()) {
    CAPTURE(info.name);
    CHECK(RoundTrip(info, row, scaled.data()) == RoundTrip(info, row, importance.data()));
  }
}

}  // namespace
}  // namespace crossover::quant
