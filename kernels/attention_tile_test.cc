// Attention where tile units may be used. Without them (another CPU, a lower level) the same calls
// take the float path, and the same checks hold.
#include "kernels/attention_fixture.h"

namespace crossover::kernels {
namespace {

TEST_CASE_TEMPLATE("tile attention: heads, groups and head sizes", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t group : {1, 2, 5, 7, 8, 16}) {
    CheckShape({.kv_heads = 1 + group % 3, .group = group, .tiles = true}, 37);
  }
  for (const size_t head_dim : {1, 20, 32, 40, 64, 80, 96, 128, 256, 320}) {
    CheckShape({.kv_heads = 1, .group = 3, .head_dim = head_dim, .tiles = true}, 41);
  }
  CheckShape({.kv_heads = 1, .head_dim = kMaxHeadDim, .tiles = true}, 200);
}

TEST_CASE_TEMPLATE("tile attention: KV formats", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const char* format : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    const size_t block = quant::FindFormat(std::string_view(format))->block_weights;
    for (const size_t head_dim : {32, 40, 64, 96, 128}) {
      if (head_dim % block != 0) continue;
      CheckShape({.format = format, .group = 2, .head_dim = head_dim, .tiles = true}, 70);
    }
  }
}

TEST_CASE_TEMPLATE("tile attention: pages, windows, soft caps and lengths", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t page_tokens : {1, 5, 16, 48}) {
    for (const size_t window : {0, 1, 7, 32, 40, 1000}) {
      CheckShape({.head_dim = 32, .page_tokens = page_tokens, .window = window, .tiles = true},
                 100);
    }
  }
  for (const float soft_cap : {0.5f, 50.0f}) {
    CheckShape({.group = 2, .window = 9, .soft_cap = soft_cap, .tiles = true}, 40);
    CheckShape({.group = 1, .soft_cap = soft_cap, .tiles = true}, 70);
  }
  for (const size_t length : {17, 31, 32, 33, 63, 65, 130, 257, 520, 700}) {
    CheckShape({.kv_heads = 1, .group = 1, .head_dim = 32, .tiles = true}, length);
  }
}

// One token: few rows, for which K and V take another way into tiles.
TEST_CASE_TEMPLATE("tile attention: decoding", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kLength = 620;
  for (const char* format : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    const size_t block = quant::FindFormat(std::string_view(format))->block_weights;
    for (const size_t head_dim : {20, 32, 96, 128}) {
      if (head_dim % block != 0) continue;
      for (const size_t window : {0, 70}) {
        const Shape shape{.format = format,
                          .kv_heads = 2,
                          .group = 7,
                          .head_dim = head_dim,
                          .window = window,
                          .soft_cap = window != 0 ? 3.0f : 0.0f,
                          .tiles = true};
        CAPTURE(std::string(format));
        CAPTURE(head_dim);
        CAPTURE(window);
        Fixture fixture(shape, kLength);
        fixture.Store(0, kLength - 1);
        const auto out = fixture.Run(kLength - 1, kLength);
        fixture.CheckAgainstReference(out, kLength - 1, kLength);
        CHECK(fixture.Run(kLength - 1, kLength, 3) == out);
      }
    }
  }
}

// With q = 0 every visible key has the weight 1, and small integers are bfloat16s: the mean of V
// comes out exactly, and a key too many or too few shows however long the context is.
TEST_CASE_TEMPLATE("tile attention: masks, to the key", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kLength = 1100, kDim = 32;
  for (const size_t group : {1, 3}) {
    for (const size_t window : {0, 1, 31, 32, 33, 500, 513}) {
      CAPTURE(group);
      CAPTURE(window);
      Fixture fixture({.format = "BF16",
                       .kv_heads = 1,
                       .group = group,
                       .head_dim = kDim,
                       .window = window,
                       .tiles = true},
                      kLength);
      std::fill(fixture.q().begin(), fixture.q().end(), 0.0f);
      for (size_t i = 0; i < fixture.v().size(); ++i) {
        fixture.v()[i] = static_cast<float>(1 + i * 7919 % 61);
      }
      const auto out = fixture.Run(0, kLength);
      double worst = 0;
      for (size_t i = 0; i < kDim; ++i) {
        double sum = 0;
        for (size_t token = 0; token < kLength; ++token) {
          sum += fixture.v()[token * kDim + i];
          if (window != 0 && token >= window) sum -= fixture.v()[(token - window) * kDim + i];
          const size_t seen = window != 0 ? std::min(token + 1, window) : token + 1;
          const double mean = sum / static_cast<double>(seen);
          for (size_t head = 0; head < group; ++head) {
            worst = std::max(worst, std::abs(out[(token * group + head) * kDim + i] / mean - 1.0));
          }
        }
      }
      CHECK(worst <= 1e-6);
    }
  }
}

TEST_CASE_TEMPLATE("tile attention: the same bits for any workers, pages and long spans", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kLength = 1150;
  for (const size_t window : {0, 600}) {
    Shape shape{.format = "F16",
                .kv_heads = 1,
                .group = 3,
                .head_dim = 32,
                .window = window,
                .tiles = true};
    Fixture whole(shape, kLength);
    const auto expected = whole.Run(0, kLength);
    for (const size_t workers : {2, 3, 16, 40}) CHECK(whole.Run(0, kLength, workers) == expected);
    for (const std::vector<size_t>& pieces :
         {std::vector<size_t>{1000, 150}, std::vector<size_t>{40, 7, 603, 3, 5, 492}}) {
      for (const size_t workers : {1, 4}) {
        Fixture fixture(shape, kLength);
        std::vector<float> out;
        size_t first = 0;
        for (const size_t piece : pieces) {
          const auto part = fixture.Run(first, first + piece, workers);
          out.insert(out.end(), part.begin(), part.end());
          first += piece;
        }
        CHECK(out == expected);
      }
    }
    shape.page_tokens = 37;
    Fixture fixture(shape, kLength);
    CHECK(fixture.Run(0, kLength) == expected);
  }
}

TEST_CASE_TEMPLATE("tile attention: a NaN key and huge scores", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  const Shape shape{.kv_heads = 1, .group = 2, .head_dim = 32, .tiles = true};
  Fixture fixture(shape, 40);
  fixture.k()[3 * 32 + 5] = std::nanf("");
  const auto out = fixture.Run(0, 40);
  for (size_t token = 0; token < 40; ++token) {
    CAPTURE(token);
    CHECK(std::isnan(out[token * 2 * 32]) == (token >= 3));
  }
  // One key far above all others, by more than bfloat16 could blur: its value is the result.
  Fixture huge(shape, 60);
  std::fill(huge.q().begin(), huge.q().end(), 1e15f);
  std::fill(huge.k().begin(), huge.k().end(), -1e15f);
  std::fill_n(huge.k().begin() + 7 * 32, 32, 1e15f);
  const auto one = huge.Run(0, 60);
  for (size_t token = 7; token < 60; ++token) {
    for (size_t i = 0; i < 64; ++i) {
      const float expected = huge.v()[7 * 32 + i % 32];
      REQUIRE(std::abs(one[token * 64 + i] - expected) <= std::abs(expected) * 0x1p-8f);
    }
  }
}

}  // namespace
}  // namespace crossover::kernels
