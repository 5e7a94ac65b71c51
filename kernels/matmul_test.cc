// Every format × level × number of tokens × shape × form of activations, against double sums over
// quant's scalar decode. For 8-bit activations the reference rounds them the same way, so what is
// left is the order of float sums.
#include "kernels/matmul.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/gemm_rows.h"
#include "kernels/matmul_kernels.h"
#include "kernels/packed/pack.h"
#include "kernels/test_levels.h"
#include "kernels/test_weights.h"
#include "kernels/variants.h"

namespace crossover::kernels {
namespace {

constexpr size_t kTokens[] = {1, 2, 3, 7, 16, 17, 33, 67};
constexpr size_t kMaxTokens = 67;
constexpr size_t kRows[] = {1, 3, 17, 50};
constexpr size_t kMaxRows = 50;
constexpr auto kModes = [] {
  std::array<Activations, kActivationForms.size()> modes{};
  std::ranges::transform(kActivationForms, modes.begin(), &NamedActivations::form);
  return modes;
}();

std::vector<float> RandomActivations(size_t tokens, size_t cols, float scale, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(tokens * cols);
  for (float& v : x) v = scale * normal(random);
  return x;
}

float RoundBFloat16(float x) { return quant::BFloat16::FromFloat(x).ToFloat(); }

/// The documented rounding: symmetric, half to even, over blocks as long as the weights'.
std::vector<double> QuantizedActivations(const std::vector<float>& x, size_t block) {
  std::vector<double> out(x.size());
  for (size_t begin = 0; begin < x.size(); begin += block) {
    float max = 0.0f;
    for (size_t i = begin; i < begin + block; ++i) max = std::max(max, std::abs(x[i]));
    if (max < 0x1p-100f) continue;
    const float inverse = 127.0f / max;
    const float scale = max / 127.0f;
    for (size_t i = begin; i < begin + block; ++i) {
      out[i] = double{scale} * std::nearbyint(x[i] * inverse);
    }
  }
  return out;
}

/// What y must be, and how far off float sums may bring it.
struct Expected {
  size_t rows = 0;
  std::vector<double> y;      // [tokens][rows]
  std::vector<double> error;  // the same
};

/// Rounding errors of a sum of n terms grow like √n, and with the largest sums on the way: with the
/// largest weight rather than the weights, since a code's offset is subtracted apart.
double Tolerance(size_t n) { return 0x1p-24 * (4.0 * std::sqrt(static_cast<double>(n)) + 8.0); }

Expected Reference(const TestWeights& w, const std::vector<float>& x, bool q8, bool bf16) {
  const size_t tokens = x.size() / w.cols;
  std::vector<double> values(x.begin(), x.end());
  std::vector<double> weights(w.values.begin(), w.values.end());
  if (q8) values = QuantizedActivations(x, quant::Info(w.format).block_weights);
  if (bf16) {
    std::ranges::transform(x, values.begin(), RoundBFloat16);
    std::ranges::transform(w.values, weights.begin(), RoundBFloat16);
  }
  Expected expected{.rows = w.rows, .y = {}, .error = {}};
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < w.rows; ++r) {
      double sum = 0.0, largest = 0.0, magnitude = 0.0;
      for (size_t k = 0; k < w.cols; ++k) {
        const double a = values[t * w.cols + k];
        const double b = weights[r * w.cols + k];
        sum += a * b;
        magnitude += std::abs(a);
        largest = std::max(largest, std::abs(b));
      }
      expected.y.push_back(sum);
      expected.error.push_back(Tolerance(w.cols) * largest * magnitude +
                               static_cast<double>(w.cols) * 0x1p-149);
    }
  }
  return expected;
}

struct Product {
  size_t tokens = 0;
  size_t rows = 0;  // the first rows of the weights
  Activations mode = Activations::kAuto;
  size_t threads = 1;
  bool bias = false;
  bool accumulate = false;
  bool packed = false;
};

constexpr float kUntouched = -777.0f;

/// Teams are kept: the scratch of thousands of them would cost more than the products.
Team& TeamOf(size_t threads) {
  static std::map<size_t, Team> teams;
  return teams.try_emplace(threads, threads).first->second;
}

/// y[tokens][rows + 3]; the last three must stay as they were.
std::vector<float> Run(const TestWeights& w, const std::vector<float>& x, const Product& product) {
  const size_t stride = product.rows + 3;
  std::vector<float> y(product.tokens * stride, kUntouched);
  std::vector<float> bias(product.rows);
  for (size_t r = 0; r < product.rows; ++r) bias[r] = static_cast<float>(r);
  if (product.accumulate) {
    for (size_t t = 0; t < product.tokens; ++t) std::fill_n(&y[t * stride], product.rows, 2.0f);
  }
  MatMulInput input;
  input.Reserve(product.tokens, w.cols);
  Matrix matrix{w.format, w.bytes.data(), product.rows, w.cols};
  Team& team = TeamOf(product.threads);
  std::vector<std::byte> packed;
  if (product.packed) {
    packed.resize(PackedBytes(matrix));
    team.Run([&](const Worker& worker) { Pack(worker, matrix, packed.data()); });
    matrix.data = packed.data();
    matrix.layout = Layout::kPacked;
  }
  const Matrix* const reader = &matrix;
  team.Run([&](const Worker& worker) {
    input.Assign(worker, x.data(), product.tokens, w.cols, {&reader, 1}, product.mode);
    MatMul(worker, matrix, input, y.data(), stride,
           {.bias = product.bias ? bias.data() : nullptr, .accumulate = product.accumulate});
  });
  return y;
}

bool HasQ8Kernel(quant::Format format, bool packed) {
  return (packed ? GemvPackedTable() : GemvQ8Table())[FormatIndex(format)] != nullptr;
}

/// Many tokens of a format without a packed form, in bytes.
bool HasRowsKernel(quant::Format format, bool packed) {
  return !packed && GemmRowsTable()[FormatIndex(format)] != nullptr;
}

bool TakesMany(const Product& product) {
  return product.mode == Activations::kAutoMany ||
         (product.mode == Activations::kAuto && product.tokens > kMaxGemvTokens);
}

bool OnTiles(const TestWeights& w, const Product& product) {
  const bool readable = product.packed || (!quant::Info(w.format).quantized && w.cols % 32 == 0);
  return readable && (TakesMany(product) || product.mode == Activations::kBF16) &&
         GemmTilesTable()[FormatIndex(w.format)] != nullptr;
}

bool IsQ8(const TestWeights& w, const Product& product) {
  if (TakesMany(product) && HasRowsKernel(w.format, product.packed)) return true;
  if (!HasQ8Kernel(w.format, product.packed)) return false;
  if (product.mode == Activations::kQ8) return true;
  if (TakesMany(product)) return product.packed && !OnTiles(w, product) && HasFastByteProducts();
  return product.mode == Activations::kAuto;
}

bool IsBF16(const TestWeights& w, const Product& product) {
  return product.mode == Activations::kBF16 || OnTiles(w, product);
}

void Check(const TestWeights& w, const std::vector<float>& x, const Product& product,
           const Expected& expected) {
  const std::vector<float> y = Run(w, x, product);
  const size_t stride = product.rows + 3;
  for (size_t t = 0; t < product.tokens; ++t) {
    for (size_t r = 0; r < stride; ++r) {
      const float got = y[t * stride + r];
      const double extra =
          (product.bias ? static_cast<double>(r) : 0.0) + (product.accumulate ? 2.0 : 0.0);
      const bool inside = r < product.rows;
      const double want = inside ? expected.y[t * expected.rows + r] + extra : kUntouched;
      double error = inside ? expected.error[t * expected.rows + r] + 0x1p-22 * extra : 0.0;
      // Tile units take denormal operands, products and sums for zero.
      if (inside && OnTiles(w, product)) error += static_cast<double>(w.cols) * 0x1p-124;
      if (std::abs(got - want) <= error) continue;
      FAIL(quant::Info(w.format).name
           << " cols " << w.cols << " tokens " << product.tokens << " rows " << product.rows
           << " mode "
           << std::ranges::find(kActivationForms, product.mode, &NamedActivations::form)->name
           << " threads " << product.threads << ": y[" << t << "][" << r << "] = " << got
           << ", not " << want << " ± " << error);
    }
  }
}

/// What a format is tried with.
struct Extents {
  std::span<const size_t> cols;
  std::span<const size_t> tokens;
  std::span<const size_t> rows;
};

/// The 42 members of the uniform family share their code by widths: all of them, on fewer shapes.
Extents ExtentsFor(quant::Format format) {
  static constexpr size_t kCols[] = {17, 32, 96, 256, 512, 1280};
  static constexpr size_t kFewCols[] = {128, 640};
  static constexpr size_t kFewTokens[] = {1, 7, 33};
  static constexpr size_t kFewRows[] = {17};
  if (quant::GShapeOf(format)) return {kFewCols, kFewTokens, kFewRows};
  return {kCols, kTokens, kRows};
}

TEST_CASE_TEMPLATE("matmul: every format and shape", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  REQUIRE(ExecutedIsa() == Level::kName);
  size_t n = 0;
  for (const quant::FormatInfo& info : quant::Formats()) {
    const Extents extents = ExtentsFor(info.format);
    for (const size_t cols : extents.cols) {
      if (cols % info.block_weights != 0) continue;
      const uint32_t seed = 100 + static_cast<uint32_t>(cols);
      CAPTURE(seed);
      const auto w = RandomWeights(info.format, kMaxRows, cols, WeightKind::kRandom, seed);
      const auto x = RandomActivations(kMaxTokens, cols, 1.0f, seed + 1);
      const Expected f32 = Reference(w, x, false, false);
      const Expected bf16 = Reference(w, x, false, true);
      const Expected q8 = info.quantized ? Reference(w, x, true, false) : f32;
      const auto check = [&](const Product& product) {
        Check(w, x, product, IsBF16(w, product) ? bf16 : IsQ8(w, product) ? q8 : f32);
      };
      for (const size_t tokens : extents.tokens) {
        for (const size_t rows : extents.rows) {
          Product product{tokens, rows, kModes[n % kModes.size()], 1, n % 5 == 0, n % 3 == 0};
          check(product);
          product.packed = HasPackedForm(info.format);
          if (product.packed) check(product);
          ++n;
        }
      }
      // All modes at the sizes where kernels change over.
      for (const size_t tokens : {1, 16, 17}) {
        for (const Activations mode : kModes) {
          check({tokens, kMaxRows, mode, 1});
          if (!HasPackedForm(info.format)) continue;
          check({.tokens = tokens, .rows = kMaxRows, .mode = mode, .packed = true});
        }
      }
      // Teams are slow to call where other work fills the cores: a few times will do.
      check({3, kMaxRows, kModes[n % kModes.size()], 2});
      check({17, kMaxRows, kModes[n % 3], 3});
    }
  }
}

TEST_CASE_TEMPLATE("matmul: extreme weights and activations", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const quant::FormatInfo& info : quant::Formats()) {
    const size_t cols =
        std::max<size_t>(info.block_weights, 288 / info.block_weights * info.block_weights);
    for (const WeightKind kind : kWeightKinds) {
      CAPTURE(KindName(kind));
      const auto w = RandomWeights(info.format, 5, cols, kind, 9);
      for (const float scale : {0.0f, 1.0f, 1e25f, 1e-25f, 1e-33f, 1e-42f}) {
        CAPTURE(scale);
        const auto x = RandomActivations(18, cols, scale, 10);
        for (const Activations mode : kModes) {
          for (const size_t tokens : {2, 18}) {
            for (const bool packed : {false, true}) {
              if (packed && !HasPackedForm(info.format)) continue;
              Product product{tokens, 5, mode, 1};
              product.packed = packed;
              Check(w, x, product, Reference(w, x, IsQ8(w, product), IsBF16(w, product)));
            }
          }
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("matmul: a NaN or infinity is not lost", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const quant::FormatInfo& info : quant::Formats()) {
    CAPTURE(info.name);
    const auto w = RandomWeights(info.format, 3, 512, WeightKind::kRandom, 11);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      auto x = RandomActivations(18, 512, 1.0f, 12);
      x[512 + 300] = bad;  // of the second token only
      for (const Activations mode : kModes) {
        for (const size_t tokens : {3, 18}) {
          for (const bool packed : {false, HasPackedForm(info.format)}) {
            const auto y = Run(w, x, {.tokens = tokens, .rows = 3, .mode = mode, .packed = packed});
            for (size_t t = 0; t < tokens; ++t) {
              for (size_t r = 0; r < 3; ++r) REQUIRE(std::isfinite(y[t * 6 + r]) == (t != 1));
            }
          }
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("matmul: the number of workers changes no bit", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const quant::FormatInfo& info : quant::Formats()) {
    CAPTURE(info.name);
    const size_t cols = info.block_weights > 32 ? 768 : 736;
    const auto w = RandomWeights(info.format, 50, cols, WeightKind::kRandom, 13);
    const auto x = RandomActivations(33, cols, 1.0f, 14);
    size_t n = 0;
    for (const Activations mode : kModes) {
      for (const size_t tokens : {1, 7, 33}) {
        const size_t threads = 2 + (tokens + static_cast<size_t>(mode)) % 3;
        CAPTURE(threads);
        const bool packed = HasPackedForm(info.format) && n++ % 2 == 0;
        CAPTURE(packed);
        Product product{.tokens = tokens, .rows = 50, .mode = mode, .packed = packed};
        const auto alone = Run(w, x, product);
        product.threads = threads;
        const auto y = Run(w, x, product);
        REQUIRE(std::ranges::equal(alone, y, {}, std::bit_cast<uint32_t, float>,
                                   std::bit_cast<uint32_t, float>));
      }
    }
  }
}

TEST_CASE_TEMPLATE("matmul: the other tokens change no bit", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  // Of 8-bit products, more than are taken at once.
  constexpr size_t kMany = 515, kRowCount = 37;
  for (const quant::FormatInfo& info : quant::Formats()) {
    CAPTURE(info.name);
    const size_t cols = info.block_weights > 32 ? 768 : 736;
    const auto w = RandomWeights(info.format, kRowCount, cols, WeightKind::kRandom, 17);
    const auto many = RandomActivations(kMany, cols, 1.0f, 18);
    const bool in_blocks = Level::kName != "scalar" && !quant::GShapeOf(info.format);
    for (const Activations mode :
         {Activations::kF32, Activations::kBF16, Activations::kQ8, Activations::kAutoMany}) {
      CAPTURE(static_cast<int>(mode));
      for (const bool packed : {false, HasPackedForm(info.format)}) {
        CAPTURE(packed);
        const size_t all = in_blocks && packed && mode == Activations::kQ8 ? kMany : 34;
        Product product{.tokens = all, .rows = kRowCount, .mode = mode, .packed = packed};
        const auto x = std::span(many).first(all * cols);
        const auto together = Run(w, {x.begin(), x.end()}, product);
        for (const auto& [first, count] :
             {std::pair<size_t, size_t>{0, 1}, {1, 7}, {8, 3}, {11, 17}, {all - 4, 4}}) {
          CAPTURE(count);
          product.tokens = count;
          const auto tokens = x.subspan(first * cols, count * cols);
          const std::vector<float> part(tokens.begin(), tokens.end());
          const auto y = Run(w, part, product);
          const auto same = std::span(together).subspan(first * (kRowCount + 3), y.size());
          CHECK(std::ranges::equal(same, y, {}, std::bit_cast<uint32_t, float>,
                                   std::bit_cast<uint32_t, float>));
        }
      }
    }
  }
}

TEST_CASE("matmul: one input serves matrices of all formats, and is used again") {
  constexpr size_t kCols = 512;
  std::vector<TestWeights> weights;
  std::vector<Matrix> matrices;
  std::vector<const Matrix*> readers;
  for (const quant::FormatInfo& info : quant::Formats()) {
    weights.push_back(RandomWeights(info.format, 20, kCols, WeightKind::kRandom, 15));
  }
  for (const TestWeights& w : weights) matrices.push_back({w.format, w.bytes.data(), 20, kCols});
  for (const Matrix& matrix : matrices) readers.push_back(&matrix);
  MatMulInput input;
  input.Reserve(40, kCols);
  Team team(2);
  for (const size_t tokens : {40, 1, 5}) {  // larger first: stale values would show
    const auto x = RandomActivations(tokens, kCols, 1.0f, 16 + static_cast<uint32_t>(tokens));
    for (const Activations mode : kModes) {
      std::vector<std::vector<float>> y(weights.size(), std::vector<float>(tokens * 20));
      team.Run([&](const Worker& worker) {
        input.Assign(worker, x.data(), tokens, kCols, readers, mode);
        for (size_t i = 0; i < weights.size(); ++i) {
          MatMul(worker, matrices[i], input, y[i].data(), 20);
        }
      });
      for (size_t i = 0; i < weights.size(); ++i) {
        const Product product{tokens, 20, mode, 1};
        const Expected expected =
            Reference(weights[i], x, IsQ8(weights[i], product), IsBF16(weights[i], product));
        for (size_t j = 0; j < y[i].size(); ++j) {
          CAPTURE(quant::Info(weights[i].format).name);
          REQUIRE(std::abs(y[i][j] - expected.y[j]) <= expected.error[j]);
        }
      }
    }
  }
}

TEST_CASE("matmul: the list of kernels names what runs") {
  const auto kernels = MatMulKernels();
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(kernels, [&](const KernelName& kernel) {
      return kernel.name == name && kernel.isa == SelectedIsa();
    });
  };
  for (const quant::FormatInfo& info : quant::Formats()) {
    CHECK(has("gemm_f32/" + std::string(info.name)));
    CHECK(has("gemv_q8/" + std::string(info.name)) == HasQ8Kernel(info.format, false));
    CHECK(has("gemm_rows_q8/" + std::string(info.name)) == HasRowsKernel(info.format, false));
    CHECK(has("gemv_packed_q8/" + std::string(info.name)) == HasQ8Kernel(info.format, true));
    // Every quantised format is read in integers in one form or another, but for those that
    // have no packed form.
    if (HasPackedForm(info.format)) CHECK(HasQ8Kernel(info.format, true) == info.quantized);
  }
  CHECK(has("encode_row/Q8_0"));
}

}  // namespace
}  // namespace crossover::kernels
