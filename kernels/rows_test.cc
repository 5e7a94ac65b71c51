#include "kernels/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

#include "kernels/isa.h"
#include "kernels/test_levels.h"
#include "kernels/variants.h"
#include "kernels/vector_math.h"

namespace crossover::kernels {
namespace {

// Lengths around every register's, and those of real layers.
constexpr size_t kLengths[] = {1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 896, 1536, 4864};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Random(size_t n, uint32_t seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> x(n);
  for (float& v : x) v = normal(generator);
  return x;
}

TEST_CASE_TEMPLATE("rows: RMS norm is right, and the same bits as scalar", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : kLengths) {
    CAPTURE(n);
    const auto x = Random(n, 1, 3.0f), weight = Random(n, 2);
    std::vector<float> out(n), scalar(n), in_place = x;
    RmsNorm(x.data(), weight.data(), n, 1e-5f, out.data());
    RmsNorm(in_place.data(), weight.data(), n, 1e-5f, in_place.data());
    CHECK(in_place == out);
    double sum = 0;
    for (const float v : x) sum += static_cast<double>(v) * v;
    const double inverse = 1.0 / std::sqrt(sum / static_cast<double>(n) + 1e-5f);
    for (size_t i = 0; i < n; ++i) {
      const double expected = x[i] * inverse * weight[i];
      REQUIRE(std::abs(out[i] - expected) <= 2.4e-7 * std::abs(expected));
    }
    const LevelScope<ScalarLevel> reference;
    RmsNorm(x.data(), weight.data(), n, 1e-5f, scalar.data());
    CHECK(scalar == out);
  }
}

TEST_CASE_TEMPLATE("rows: layer norm is right, and the same bits as scalar", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : kLengths) {
    CAPTURE(n);
    auto x = Random(n, 1, 3.0f);
    for (float& v : x) v += 100.0f;  // far from 0: the mean has to go first
    const auto weight = Random(n, 2), bias = Random(n, 3);
    std::vector<float> out(n), plain(n), scalar(n), in_place = x;
    LayerNorm(x.data(), weight.data(), bias.data(), n, 1e-5f, out.data());
    LayerNorm(x.data(), weight.data(), nullptr, n, 1e-5f, plain.data());
    Normalize({weight.data(), bias.data(), 1e-5f, NormKind::kLayer}, in_place.data(), n,
              in_place.data());
    CHECK(in_place == out);
    double mean = 0, variance = 0;
    for (const float v : x) mean += v / static_cast<double>(n);
    for (const float v : x) variance += (v - mean) * (v - mean) / static_cast<double>(n);
    const double inverse = 1 / std::sqrt(variance + 1e-5f);
    for (size_t i = 0; i < n; ++i) {
      const double expected = (x[i] - mean) * inverse * weight[i];
      REQUIRE(std::abs(plain[i] - expected) <= 3e-7 * std::abs(expected) + 1e-9);
      REQUIRE(std::abs(out[i] - expected - bias[i]) <=
              3e-7 * (std::abs(expected) + std::abs(bias[i])) + 1e-9);
    }
    const LevelScope<ScalarLevel> reference;
    LayerNorm(x.data(), weight.data(), bias.data(), n, 1e-5f, scalar.data());
    CHECK(scalar == out);
  }
}

// Each has its own test against mathematics as well; this one forgets none.
TEST_CASE_TEMPLATE("rows: every operation of the list agrees with scalar", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const RowOperation& operation : RowOperations()) {
    CAPTURE(std::string(operation.name));
    for (const size_t n : {64, 896, 1536}) {
      CAPTURE(n);
      std::vector<float> x(n), w(n);
      FillRowOperands(x, w);
      std::vector<float> out = x, scalar = x;
      operation.run({n, x.data(), w.data(), out.data()});
      CHECK((operation.name == "rope_table" || out != x || operation.name == "swiglu"));
      const LevelScope<ScalarLevel> reference;
      operation.run({n, x.data(), w.data(), scalar.data()});
      for (size_t i = 0; i < n; ++i) REQUIRE(out[i] == doctest::Approx(scalar[i]).epsilon(2e-6));
    }
  }
}

TEST_CASE("rows: what benchmarks repeat stays where it is") {
  std::vector<float> x(1536), w(1536);
  FillRowOperands(x, w);
  for (const RowOperation& operation : RowOperations()) {
    CAPTURE(std::string(operation.name));
    std::vector<float> out = x;
    for (int i = 0; i < 2000; ++i) operation.run({out.size(), x.data(), w.data(), out.data()});
    for (const float v : out) REQUIRE((std::isfinite(v) && (v == 0 || std::abs(v) > 1e-6f)));
  }
}

TEST_CASE_TEMPLATE("rows: RMS norm of extreme rows", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  const std::vector<float> ones(40, 1.0f);
  std::vector<float> zeros(40, 0.0f), huge(40, 3e38f), tiny(40, 1e-40f), out(40);
  RmsNorm(zeros.data(), ones.data(), 40, 1e-5f, out.data());
  CHECK(out == zeros);
  RmsNorm(huge.data(), ones.data(), 40, 1e-5f, out.data());
  for (const float v : out) CHECK(v == doctest::Approx(1.0f));
  RmsNorm(tiny.data(), ones.data(), 40, 1e-5f, out.data());
  for (const float v : out) CHECK(v == doctest::Approx(1e-40 / std::sqrt(1e-5)).epsilon(0.01));
}

TEST_CASE_TEMPLATE("rows: add and scale are exact", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : kLengths) {
    CAPTURE(n);
    const auto x = Random(n, 3), y = Random(n, 4);
    std::vector<float> sum = y, scaled = x;
    Add(x.data(), n, sum.data());
    Scale(0.3f, n, scaled.data());
    for (size_t i = 0; i < n; ++i) {
      REQUIRE(sum[i] == y[i] + x[i]);
      REQUIRE(scaled[i] == x[i] * 0.3f);
    }
  }
}

double Gelu(double z) {
  return z / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (z + 0.044715 * z * z * z)));
}

double Silu(double z) { return z / (1 + std::exp(-z)); }

TEST_CASE_TEMPLATE("rows: gated units", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const Gate f : {Gate::kSilu, Gate::kGelu}) {
    CAPTURE(static_cast<int>(f));
    for (const size_t n : kLengths) {
      CAPTURE(n);
      const auto up = Random(n, 5);
      auto gate = Random(n, 6, 6.0f);
      if (n > 3) gate[0] = 200.0f, gate[1] = -200.0f, gate[2] = 0.0f, gate[3] = -87.5f;
      if (n > 5) gate[4] = 1e30f, gate[5] = -1e30f;
      auto out = gate;
      GatedUnit(f, up.data(), n, out.data());
      for (size_t i = 0; i < n; ++i) {
        const double z = gate[i];
        const double expected = (f == Gate::kSilu ? Silu(z) : Gelu(z)) * up[i];
        CAPTURE(z);
        // The exponent is rounded to float, which costs e^-2u of gelu |2u| 2^-24 of itself; below
        // e^88 = 1.6e38 the float quotient is rounded to 0. A tanh near -1 cancels in the
        // reference, so that below gelu(-6) = -1e-11 it says nothing.
        const double relative = f == Gate::kSilu ? 8e-7 : 8e-7 + 6e-8 * std::min(z * z, 40.0);
        const double absolute = f == Gate::kSilu ? 1e-35 : 1e-10;
        REQUIRE(std::abs(out[i] - expected) <= relative * std::abs(expected) + absolute);
      }
    }
    std::vector<float> up(20, 1.0f), gate(20, 1.0f);
    gate[7] = gate[19] = std::nanf("");
    GatedUnit(f, up.data(), 20, gate.data());
    for (size_t i = 0; i < 20; ++i) CHECK(std::isnan(gate[i]) == (i == 7 || i == 19));
  }
}

TEST_CASE_TEMPLATE("rows: units of other kinds", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : kLengths) {
    CAPTURE(n);
    const auto x = Random(n, 6, 6.0f), u = Random(n, 5, 6.0f);
    auto gelu = x, squared = x, gate = x, up = u;
    kernels::Gelu(n, gelu.data());
    ReluSquared(n, squared.data());
    ClampedUnit(up.data(), n, gate.data());
    for (size_t i = 0; i < n; ++i) {
      const double z = x[i];
      CAPTURE(z);
      REQUIRE(std::abs(gelu[i] - Gelu(z)) <=
              (8e-7 + 6e-8 * std::min(z * z, 40.0)) * std::abs(Gelu(z)) + 1e-10);
      REQUIRE(squared[i] == (x[i] > 0 ? x[i] * x[i] : 0));
      const double g = std::min(z, 7.0), v = std::clamp(double{u[i]}, -7.0, 7.0);
      const double clamped = g / (1 + std::exp(-1.702 * g)) * (v + 1);
      REQUIRE(std::abs(gate[i] - clamped) <= 2e-6 * std::abs(clamped) + 1e-6 * std::abs(g));
    }
  }
  std::vector<float> bad(5, std::nanf(""));
  ReluSquared(5, bad.data());
  for (const float v : bad) CHECK(std::isnan(v));
}

TEST_CASE_TEMPLATE("rows: soft cap", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : kLengths) {
    CAPTURE(n);
    auto x = Random(n, 8, 40.0f);
    if (n > 2) x[0] = kInfinity, x[1] = -kInfinity, x[2] = 1e30f;
    auto out = x;
    SoftCap(30.0f, n, out.data());
    for (size_t i = 0; i < n; ++i) {
      CAPTURE(x[i]);
      const double expected = 30.0 * std::tanh(x[i] / 30.0);
      REQUIRE(std::abs(out[i] - expected) <= 5e-7 * std::abs(expected));
    }
  }
}

TEST_CASE_TEMPLATE("rows: softmax", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : {1, 2, 5, 16, 17, 300, 5000}) {
    CAPTURE(n);
    auto x = Random(n, 7, 5.0f);
    if (n > 4) x[1] = -kInfinity, x[3] = -500.0f;
    auto out = x;
    Softmax(n, out.data());
    double largest = -1e30, sum = 0;
    for (const float v : x) largest = std::max(largest, double{v});
    for (const float v : x) sum += std::exp(v - largest);
    for (size_t i = 0; i < n; ++i) {
      // x - max is rounded to float: half a unit of it is a relative error of the exponential.
      const double exponent = x[i] - largest, expected = std::exp(exponent) / sum;
      const double relative = 5e-7 + (std::isinf(exponent) ? 0.0 : -exponent * 0x1p-24);
      REQUIRE(std::abs(out[i] - expected) <= relative * expected + 1e-37);
    }
  }
}

TEST_CASE_TEMPLATE("rows: softmax of a row without one is NaN", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const float odd : {kInfinity, std::nanf("")}) {
    auto x = Random(37, 8);
    x[20] = odd;
    Softmax(x.size(), x.data());
    for (const float v : x) CHECK(std::isnan(v));
  }
  std::vector<float> x(37, -kInfinity);
  Softmax(x.size(), x.data());
  for (const float v : x) CHECK(std::isnan(v));
}

TEST_CASE_TEMPLATE("rows: a vocabulary of equal logits sums to one", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  std::vector<float> x(151936, 0.1f);
  Softmax(x.size(), x.data());
  for (const float v : x) REQUIRE(v == doctest::Approx(1.0 / 151936).epsilon(1e-6));
}

TEST_CASE_TEMPLATE("rows: RoPE angles stay exact at long contexts", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t rotary_dim : {2, 6, 64, 96, 128}) {
    const auto jitter = Random(rotary_dim / 2, 9);
    std::vector<float> factors(rotary_dim / 2);
    for (size_t i = 0; i < factors.size(); ++i) factors[i] = 1.0f + 7.0f * std::abs(jitter[i]);
    for (const float base : {10000.0f, 500000.0f, 1000000.0f}) {
      for (const size_t position : {0, 1, 17, 4095, 32768, 131071}) {
        for (const bool scaled : {false, true}) {
          const float* f = scaled ? factors.data() : nullptr;
          std::vector<float> table(rotary_dim);
          RopeTable(position, rotary_dim, base, f, 1.5f, table.data());
          for (size_t i = 0; i < rotary_dim / 2; ++i) {
            const long double exponent = -2.0L * static_cast<long double>(i) / rotary_dim;
            const long double angle = static_cast<long double>(position) *
                                      std::pow(static_cast<long double>(base), exponent) /
                                      (f != nullptr ? f[i] : 1.0f);
            // Half a unit in the last place of a value up to 1.5, and the angle's own error.
            REQUIRE(std::abs(table[i] - 1.5L * std::cos(angle)) <= 6.1e-8L);
            REQUIRE(std::abs(table[rotary_dim / 2 + i] - 1.5L * std::sin(angle)) <= 6.1e-8L);
          }
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("rows: RoPE turns pairs of either style", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kHeads = 3;
  for (const size_t head_dim : {32, 40, 64, 96, 128}) {
    for (const size_t rotary_dim : {head_dim, head_dim / 2, head_dim / 4 * 2 - 2}) {
      for (const RopeStyle style : {RopeStyle::kInterleaved, RopeStyle::kNeox}) {
        std::vector<float> table(rotary_dim);
        RopeTable(123, rotary_dim, 10000.0f, nullptr, 1.0f, table.data());
        const auto x = Random(kHeads * head_dim, 10);
        auto out = x;
        Rope(out.data(), kHeads, head_dim, rotary_dim, style, table.data());
        auto expected = x;
        const size_t pairs = rotary_dim / 2;
        for (size_t h = 0; h < kHeads; ++h) {
          for (size_t i = 0; i < pairs; ++i) {
            const bool neox = style == RopeStyle::kNeox;
            const size_t a = h * head_dim + (neox ? i : 2 * i);
            const size_t b = h * head_dim + (neox ? i + pairs : 2 * i + 1);
            const double c = table[i], s = table[pairs + i];
            expected[a] = static_cast<float>(x[a] * c - x[b] * s);
            expected[b] = static_cast<float>(x[a] * s + x[b] * c);
          }
        }
        for (size_t i = 0; i < out.size(); ++i) {
          CAPTURE(i);
          REQUIRE(std::abs(out[i] - expected[i]) <= 5e-7);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("vector math: tanh", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t n : {1, 5, 16, 33}) {
    auto x = Random(n, 11, 2.0f);
    x[0] = 30.0f;
    auto out = x;
    SelectedVectorMath().tanh(n, out.data());
    for (size_t i = 0; i < n; ++i) {
      REQUIRE(std::abs(out[i] - std::tanh(double{x[i]})) <= 2.4e-7 * std::abs(std::tanh(x[i])));
    }
  }
}

TEST_CASE_TEMPLATE("vector math: runs at the selected level", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  const std::string_view arch = SelectedVectorMath().arch;
  if (Level::kName == "scalar") CHECK(arch == "scalar");
  if (Level::kName == "sse4") CHECK(arch == "sse4.2");
  if (Level::kName == "avx2") CHECK(arch == "fma3+avx2");
  if (Level::kName.starts_with("avx512")) CHECK(arch == "avx512bw");
  if (Level::kName.starts_with("neon")) CHECK(arch == "neon64");
}

}  // namespace
}  // namespace crossover::kernels
