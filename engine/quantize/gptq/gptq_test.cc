#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/calibrate/chunks.h"
#include "engine/model/model.h"
#include "engine/quantize/gptq/factor.h"
#include "engine/quantize/gptq/nearest_plane.h"
#include "engine/quantize/quantize_file.h"
#include "quant/codes/codes.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;
using Doubles = std::vector<double>;

/// Inputs whose columns are correlated and of very different sizes, as activations are.
std::vector<float> Inputs(size_t tokens, size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mix(8 * n), x(tokens * n);
  for (float& v : mix) v = normal(random);
  for (size_t t = 0; t < tokens; ++t) {
    float common[8];
    for (float& v : common) v = normal(random);
    for (size_t c = 0; c < n; ++c) {
      float v = normal(random);
      for (size_t k = 0; k < 8; ++k) v += common[k] * mix[k * n + c];
      x[t * n + c] = v * (c % 37 == 5 ? 10.0f : 0.3f + 0.02f * static_cast<float>(c % 41));
    }
  }
  return x;
}

std::vector<float> Weights(size_t rows, size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> w(rows * n);
  for (float& v : w) v = normal(random);
  return w;
}

Hessian HessianOf(kernels::Team& team, const std::vector<float>& x, size_t n) {
  const size_t tokens = x.size() / n;
  Hessian hessian(n, tokens);
  team.Run([&](const kernels::Worker& worker) { hessian.Add(worker, x, tokens); });
  return hessian;
}

/// Σ x·xᵀ + λ by definition.
Doubles DampedHessian(const std::vector<float>& x, size_t n, double damping) {
  Doubles h(n * n);
  for (size_t t = 0; t < x.size(); t += n) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) h[i * n + j] += double{x[t + i]} * x[t + j];
    }
  }
  double mean = 0;
  for (size_t i = 0; i < n; ++i) mean += h[i * n + i] / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) h[i * n + i] += damping * mean;
  return h;
}

/// e H eᵀ.
double Loss(const Doubles& h, std::span<const float> w, std::span<const float> decoded) {
  const size_t n = w.size();
  double loss = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      loss += (double{w[i]} - decoded[i]) * h[i * n + j] * (double{w[j]} - decoded[j]);
    }
  }
  return loss;
}

/// The inverse of a symmetric positive definite matrix, by Gauss and Jordan.
Doubles Inverse(Doubles a, size_t n) {
  Doubles out(n * n);
  for (size_t i = 0; i < n; ++i) out[i * n + i] = 1;
  for (size_t k = 0; k < n; ++k) {
    const double pivot = a[k * n + k];
    for (size_t j = 0; j < n; ++j) a[k * n + j] /= pivot, out[k * n + j] /= pivot;
    for (size_t i = 0; i < n; ++i) {
      const double factor = a[i * n + k];
      if (i == k || factor == 0) continue;
      for (size_t j = 0; j < n; ++j) {
        a[i * n + j] -= factor * a[k * n + j];
        out[i * n + j] -= factor * out[k * n + j];
      }
    }
  }
  return out;
}

/// GPTQ as the paper has it (OBS): round a weight, spread its error over the rest by H⁻¹, and take
/// the weight out of H⁻¹. No Cholesky, no blocks, all in double.
std::vector<uint8_t> PaperCodes(const Doubles& h, std::span<const float> weights,
                                const quant::CodeFace& face, std::span<const float> base,
                                std::span<const float> scale) {
  const size_t n = weights.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return h[a * n + a] < h[b * n + b]; });
  std::reverse(order.begin(), order.end());
  Doubles inverse = Inverse(h, n);
  Doubles w(weights.begin(), weights.end());
  std::vector<uint8_t> codes(n);
  for (const size_t q : order) {
    size_t best = 0;
    const auto value = [&](size_t c) { return base[q] + double{scale[q]} * face.steps[c]; };
    for (size_t c = 1; c < face.levels && scale[q] != 0; ++c) {
      if (std::abs(value(c) - w[q]) < std::abs(value(best) - w[q])) best = c;
    }
    codes[q] = static_cast<uint8_t>(best);
    const double error = (w[q] - value(best)) / inverse[q * n + q];
    const Doubles row(inverse.begin() + static_cast<ptrdiff_t>(q * n),
                      inverse.begin() + static_cast<ptrdiff_t>(q * n + n));
    for (size_t i = 0; i < n; ++i) w[i] -= error * row[i];
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) inverse[i * n + j] -= row[i] * row[j] / row[q];
    }
  }
  return codes;
}

struct Encoded {
  std::vector<std::byte> plain, gptq;
  GptqLoss loss;
};

Encoded EncodeBoth(kernels::Team& team, const HessianFactor& factor, const quant::FormatInfo& info,
                   const std::vector<float>& weights) {
  const size_t n = factor.size();
  Encoded out;
  out.plain.resize(weights.size() / n * info.row_bytes(n));
  for (size_t r = 0; r < weights.size() / n; ++r) {
    info.encode(&weights[r * n], n, nullptr, &out.plain[r * info.row_bytes(n)]);
  }
  out.gptq = out.plain;
  out.loss = ChooseCodes(team, factor, info.format, weights, out.gptq);
  return out;
}

TEST_CASE("gptq: codes are those of the paper's own algorithm in double precision") {
  constexpr size_t kColumns = 256, kRows = 12;
  const std::vector<float> x = Inputs(700, kColumns, 1);
  const std::vector<float> weights = Weights(kRows, kColumns, 2);
  kernels::Team team(2);
  const HessianFactor factor = FactorHessian(team, HessianOf(team, x, kColumns), 0.01);
  const Doubles h = DampedHessian(x, kColumns, 0.01);
  for (const char* name : {"G2_64Z", "G3_128", "G4_64Z", "Q2_K", "Q3_K", "Q4_K", "IQ4_XS"}) {
    CAPTURE(name);
    const quant::FormatInfo& info = *quant::FindFormat(name);
    const quant::CodeFace& face = *quant::CodesOf(info.format);
    const Encoded encoded = EncodeBoth(team, factor, info, weights);
    size_t same = 0;
    for (size_t r = 0; r < kRows; ++r) {
      const std::byte* plain = &encoded.plain[r * info.row_bytes(kColumns)];
      std::vector<float> base(kColumns), scale(kColumns), got(kColumns), want(kColumns);
      quant::ReadGrid(info.format, plain, kColumns, {base, scale});
      const auto row = std::span(weights).subspan(r * kColumns, kColumns);
      const auto codes = PaperCodes(h, row, face, base, scale);
      std::vector<std::byte> expected(plain, plain + info.row_bytes(kColumns));
      quant::PutCodes(info.format, codes.data(), kColumns, expected.data());
      info.decode(expected.data(), kColumns, want.data());
      info.decode(&encoded.gptq[r * info.row_bytes(kColumns)], kColumns, got.data());
      // A weight halfway between two codes may fall either way, and takes the rest with it: rows
      // are equal, or as good.
      same += got == want;
      CHECK(Loss(h, row, got) <= 1.02 * Loss(h, row, want));
    }
    CHECK(same >= kRows - 2);
  }
}

TEST_CASE(
    "gptq: the loss is what it says, never above the plain codes', and much below at few bits") {
  constexpr size_t kColumns = 256, kRows = 20;
  const std::vector<float> x = Inputs(900, kColumns, 3);
  const std::vector<float> weights = Weights(kRows, kColumns, 4);
  kernels::Team team(2);
  const HessianFactor factor = FactorHessian(team, HessianOf(team, x, kColumns), 0.01);
  const Doubles h = DampedHessian(x, kColumns, 0.01);
  for (const quant::FormatInfo& info : quant::Formats()) {
    if (quant::CodesOf(info.format) == nullptr) continue;
    CAPTURE(info.name);
    const Encoded encoded = EncodeBoth(team, factor, info, weights);
    double plain = 0, gptq = 0;
    for (size_t r = 0; r < kRows; ++r) {
      const auto loss = [&](const std::vector<std::byte>& blocks) {
        std::vector<float> decoded(kColumns);
        info.decode(&blocks[r * info.row_bytes(kColumns)], kColumns, decoded.data());
        return Loss(h, std::span(weights).subspan(r * kColumns, kColumns), decoded);
      };
      const double of_plain = loss(encoded.plain), of_gptq = loss(encoded.gptq);
      CHECK(of_gptq <= of_plain * 1.0001);
      plain += of_plain, gptq += of_gptq;
    }
    CHECK(encoded.loss.plain == doctest::Approx(plain).epsilon(2e-3));
    CHECK(encoded.loss.gptq == doctest::Approx(gptq).epsilon(2e-3));
    if (info.bits_per_weight() < 6) CHECK(gptq < 0.6 * plain);
  }
}

TEST_CASE(
    "gptq: codes do not depend on the number of threads, nor on slabs and blocks of columns") {
  constexpr size_t kColumns = 384, kRows = 1030;
  const std::vector<float> x = Inputs(500, kColumns, 5);
  const std::vector<float> weights = Weights(kRows, kColumns, 6);
  const quant::FormatInfo& info = *quant::FindFormat("G3_128");
  std::vector<std::byte> first;
  for (const size_t threads : {1, 3}) {
    kernels::Team team(threads);
    const HessianFactor factor = FactorHessian(team, HessianOf(team, x, kColumns), 0.01);
    const Encoded encoded = EncodeBoth(team, factor, info, weights);
    if (first.empty()) first = encoded.gptq;
    CHECK(encoded.gptq == first);
    // The last rows alone.
    const std::vector<float> last(weights.end() - 6 * static_cast<ptrdiff_t>(kColumns),
                                  weights.end());
    const Encoded alone = EncodeBoth(team, factor, info, last);
    CHECK(std::equal(alone.gptq.begin(), alone.gptq.end(),
                     first.end() - static_cast<ptrdiff_t>(alone.gptq.size())));
  }
}

TEST_CASE(
    "gptq: a Hessian without full rank, or of nothing at all, is damped until it has a factor") {
  constexpr size_t kColumns = 160;
  kernels::Team team(1);
  std::vector<float> x = Inputs(3, kColumns, 7);
  for (size_t i = 0; i < x.size(); i += 5) x[i] = 0;
  const HessianFactor factor = FactorHessian(team, HessianOf(team, x, kColumns), 1e-9);
  CHECK(factor.damping > 1e-9);
  for (const double pivot : factor.pivots) CHECK(pivot > 0);
  const HessianFactor none =
      FactorHessian(team, HessianOf(team, std::vector<float>(kColumns), kColumns), 0.01);
  for (const double pivot : none.pivots) CHECK(pivot > 0);
  x[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(FactorHessian(team, HessianOf(team, x, kColumns), 0.01), Error);
}

struct Files {
  test::TemporaryDirectory directory;
  fs::path in = test::SourceRoot() / "models/reference-s.gguf";
  fs::path out = directory / "out.gguf";
  std::shared_ptr<CalibrationChunks> chunks = std::make_shared<CalibrationChunks>();

  Files() {
    *chunks = {{}, 64, 4, std::nullopt};
    for (int i = 0; i < 256; ++i) chunks->tokens.push_back((i * i * 7 + 3 * i) % 4000);
  }
  QuantizeReport Run(const char* recipe, Method method, size_t threads = 1,
                     const std::function<void(uint64_t, uint64_t)>& progress = {}) const {
    QuantizeOptions options;
    options.method = method;
    options.calibration = chunks;
    options.threads = threads;
    options.method_progress = progress;
    return QuantizeFile(in, out, quant::FindRecipe(recipe), options);
  }
};

TEST_CASE("gptq: a whole model; killed, it goes on to the same bytes and leaves no folder") {
  const Files files;
  const QuantizeReport report = files.Run("G3_64", Method::kGptq);
  const std::string whole = ReadFile(files.out);
  size_t chosen = 0;
  for (const QuantizedTensor& tensor : report.tensors) {
    CAPTURE(tensor.name);
    CHECK(tensor.gptq_loss <= tensor.plain_loss);
    chosen += tensor.plain_loss > 0;
  }
  CHECK(chosen == 7 * 4);
  CHECK(!fs::exists(files.out.string() + ".gptq"));

  fs::remove(files.out);
  CHECK_THROWS_AS(files.Run("G3_64", Method::kGptq, 2,
                            [](uint64_t done, uint64_t) {
                              if (done == 8) throw Error(ErrorCode::kInterrupted, "killed");
                            }),
                  Error);
  CHECK(fs::exists(files.out.string() + ".gptq/identity"));
  CHECK(!fs::exists(files.out));
  // What was done is not done again.
  fs::path first;
  for (const auto& entry : fs::directory_iterator(files.out.string() + ".gptq")) {
    if (entry.path().filename() != "identity") first = entry.path();
  }
  REQUIRE(!first.empty());
  const auto made = fs::last_write_time(first);
  size_t steps = 0;
  files.Run("G3_64", Method::kGptq, 2, [&](uint64_t, uint64_t) {
    ++steps;
    CHECK(fs::last_write_time(first) == made);
  });
  CHECK(steps == 4 * 5 + 1);
  CHECK(ReadFile(files.out) == whole);
  // What another recipe left is no part of this one.
  CHECK_THROWS_AS(files.Run("G2_64", Method::kGptq, 1,
                            [](uint64_t done, uint64_t) {
                              if (done == 3) throw Error(ErrorCode::kInterrupted, "killed");
                            }),
                  Error);
  files.Run("G3_64", Method::kGptq);
  CHECK(ReadFile(files.out) == whole);
}

TEST_CASE("gptq: a folder that is no journal is not touched") {
  const Files files;
  fs::create_directory(files.out.string() + ".gptq");
  WriteFile(files.out.string() + ".gptq/mine", "text");
  CHECK_THROWS_WITH_AS(files.Run("G3_64", Method::kGptq), doctest::Contains("something else"),
                       Error);
  CHECK(ReadFile(files.out.string() + ".gptq/mine") == "text");
}

TEST_CASE("methods: those of the uniform family refuse other formats by the tensor's name") {
  const Files files;
  files.Run("G3_64", Method::kRtn);
  const std::string rtn = ReadFile(files.out);
  files.Run("G3_64", Method::kOpt);
  CHECK(ReadFile(files.out) != rtn);
  CHECK_THROWS_WITH_AS(files.Run("Q4_K_M", Method::kOpt), doctest::Contains("not defined"), Error);
}

}  // namespace
}  // namespace crossover::engine
