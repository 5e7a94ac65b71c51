// Products that are shared out together: the same bits as each one alone, by any number of workers.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/matmul.h"
#include "kernels/packed/pack.h"
#include "kernels/test_levels.h"
#include "kernels/test_weights.h"

namespace crossover::kernels {
namespace {

constexpr size_t kCols = 512;

/// A packed matrix and what it lies in.
struct PackedMatrix {
  PackedMatrix(std::string_view format, size_t rows, size_t cols, uint32_t seed) {
    const quant::Format f = quant::FindFormat(format)->format;
    const TestWeights weights = RandomWeights(f, rows, cols, WeightKind::kRandom, seed);
    const Matrix in_rows{f, weights.bytes.data(), rows, cols};
    bytes = AllocateBytes(PackedBytes(in_rows));
    Team team(1);
    team.Run([&](const Worker& worker) { Pack(worker, in_rows, bytes.get()); });
    matrix = {f, bytes.get(), rows, cols, Layout::kPacked};
  }

  Bytes bytes;
  Matrix matrix;
};

std::vector<float> Activation(size_t tokens) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(tokens * kCols);
  for (float& value : x) value = normal(random);
  return x;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(a, b, {}, std::bit_cast<uint32_t, float>,
                            std::bit_cast<uint32_t, float>);
}

// Small and large, not all whole pairs of row groups; formats differ, as q, k and v's may.
TEST_CASE_TEMPLATE("matmul together: each as alone", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  const std::array<PackedMatrix, 4> packed{
      PackedMatrix("Q4_K", 600, kCols, 1), PackedMatrix("Q4_K", 64, kCols, 2),
      PackedMatrix("Q6_K", 20, kCols, 3), PackedMatrix("Q8_0", 48, kCols, 4)};
  std::vector<const Matrix*> readers;
  for (const PackedMatrix& p : packed) readers.push_back(&p.matrix);
  std::vector<float> bias(600);
  std::iota(bias.begin(), bias.end(), 0.0f);
  for (const size_t tokens : {1, 40}) {
    const std::vector<float> x = Activation(tokens);
    MatMulInput input;
    input.Reserve(tokens, kCols);
    for (const size_t threads : {1, 2, 3}) {
      Team team(threads);
      std::vector<std::vector<float>> alone, together;
      for (const PackedMatrix& p : packed) {
        alone.emplace_back(tokens * p.matrix.rows, -1.0f);
        together.emplace_back(tokens * p.matrix.rows, -2.0f);
      }
      std::vector<Projection> projections;
      for (size_t i = 0; i < packed.size(); ++i) {
        projections.push_back(
            {&packed[i].matrix, together[i].data(), i == 1 ? nullptr : bias.data()});
      }
      team.Run([&](const Worker& worker) {
        input.Assign(worker, x.data(), tokens, kCols, readers, Activations::kAuto);
        for (size_t i = 0; i < packed.size(); ++i) {
          const Matrix& w = packed[i].matrix;
          MatMul(worker, w, input, alone[i].data(), w.rows, {.bias = projections[i].bias});
        }
        MatMulEach(worker, projections, input);
      });
      for (size_t i = 0; i < packed.size(); ++i) {
        CAPTURE(i);
        CAPTURE(tokens);
        CAPTURE(threads);
        CHECK(SameBits(alone[i], together[i]));
      }
    }
  }
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

// A row fills a worker's scratch to its last byte: one more would be a write behind it.
TEST_CASE_TEMPLATE("matmul together: the widest row is normed as any other", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kWidest = Team::kScratchBytes / sizeof(float), kRows = 16, kTokens = 2;
  std::vector<float> x(kTokens * kWidest), weight(kWidest), normed(x.size()), written(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 251) - 125;
  for (size_t i = 0; i < kWidest; ++i) weight[i] = 1 + static_cast<float>(i % 7);
  for (size_t t = 0; t < kTokens; ++t) {
    RmsNorm(&x[t * kWidest], weight.data(), kWidest, 1e-5f, &normed[t * kWidest]);
  }
  const PackedMatrix packed("Q8_0", kRows, kWidest, 1);
  MatMulInput input;
  input.Reserve(kTokens, kWidest);
  const Matrix* const reader = &packed.matrix;
  for (const Activations activations : {Activations::kQ8, Activations::kF32, Activations::kBF16}) {
    for (const size_t threads : {1, 2}) {
      Team team(threads);
      std::vector<float> expected(kTokens * kRows), found(kTokens * kRows);
      team.Run([&](const Worker& worker) {
        input.Assign(worker, normed.data(), kTokens, kWidest, {&reader, 1}, activations);
        MatMul(worker, packed.matrix, input, expected.data(), kRows);
        worker.Sync();
        input.AssignNormed(worker, x.data(), {.weight = weight.data(), .eps = 1e-5f},
                           written.data(), kTokens, kWidest, {&reader, 1}, activations);
        MatMul(worker, packed.matrix, input, found.data(), kRows);
      });
      CHECK(SameBits(expected, found));
    }
  }
}

TEST_CASE_TEMPLATE("matmul together: a gated unit by any number of workers", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kWidth = 768, kDim = 32;
  const PackedMatrix gate("Q4_K", kWidth, kCols, 5), up("Q4_K", kWidth, kCols, 6),
      down("Q6_K", kDim, kWidth, 7);
  const std::array<const Matrix*, 2> readers{&gate.matrix, &up.matrix};
  for (const size_t tokens : {1, 40, 523}) {
    const std::vector<float> x = Activation(tokens);
    std::vector<std::vector<float>> results;
    for (const size_t threads : {1, 2, 3}) {
      MatMulInput input, hidden;
      input.Reserve(tokens, kCols);
      hidden.Reserve(tokens, kWidth);
      std::vector<float> gates(tokens * kWidth), ups(tokens * kWidth), y(tokens * kDim, -1.0f);
      std::vector<float> in_steps(tokens * kDim);
      Team team(threads);
      team.Run([&](const Worker& worker) {
        input.Assign(worker, x.data(), tokens, kCols, readers, Activations::kAuto);
        MatMulGated(worker, Gate::kSilu, gate.matrix, up.matrix, input, gates.data(), ups.data(),
                    hidden, down.matrix);
        MatMul(worker, down.matrix, hidden, y.data(), kDim);
        worker.Sync();
        // The same by floats that are written and read.
        const Matrix* const reader = &down.matrix;
        MatMul(worker, gate.matrix, input, gates.data(), kWidth);
        MatMul(worker, up.matrix, input, ups.data(), kWidth);
        worker.Sync();
        hidden.AssignGated(worker, Gate::kSilu, gates.data(), ups.data(), tokens, kWidth,
                           {&reader, 1}, Activations::kAuto);
        MatMul(worker, down.matrix, hidden, in_steps.data(), kDim);
      });
      CAPTURE(tokens);
      CAPTURE(threads);
      // On tiles, the unit's exponential is good for bfloat16.
      CHECK(Distance(y, in_steps) < 0.004);
      results.push_back(y);
    }
    CAPTURE(tokens);
    CHECK(SameBits(results[0], results[1]));
    CHECK(SameBits(results[0], results[2]));
  }
}

}  // namespace
}  // namespace crossover::kernels
