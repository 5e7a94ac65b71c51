// Products of every format, on one thread: bytes of weights and multiply-adds a second.
// A resident matrix (it fits L2) shows what the kernel can do, a large one what memory lets it.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/packed/pack.h"
#include "kernels/team.h"
#include "kernels/test_weights.h"

namespace crossover::kernels {
namespace {

struct Shape {
  const char* name;
  size_t rows;
  size_t cols;
};
constexpr Shape kShapes[] = {{"resident", 256, 1536}, {"ffn_up", 8960, 1536}};
constexpr size_t kTokens[] = {1, 8, 64};

void RunMatMul(benchmark::State& state, quant::Format format, Shape shape, size_t tokens,
               Layout layout, Activations activations) {
  const TestWeights w = RandomWeights(format, shape.rows, shape.cols, WeightKind::kRandom, 1);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(tokens * shape.cols);
  for (float& v : x) v = normal(random);
  std::vector<float> y(tokens * shape.rows);
  MatMulInput input;
  input.Reserve(tokens, shape.cols);
  Team team(1);
  Matrix matrix{format, w.bytes.data(), shape.rows, shape.cols};
  std::vector<std::byte> packed;
  if (layout == Layout::kPacked) {
    packed.resize(PackedBytes(matrix));
    team.Run([&](const Worker& worker) { Pack(worker, matrix, packed.data()); });
    matrix.data = packed.data();
    matrix.layout = layout;
  }
  const Matrix* const reader = &matrix;
  team.Run([&](const Worker& worker) {
    input.Assign(worker, x.data(), tokens, shape.cols, {&reader, 1}, activations);
    for (auto _ : state) {
      MatMul(worker, matrix, input, y.data(), shape.rows);
      benchmark::ClobberMemory();
    }
  });
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(w.bytes.size()));
  state.SetItemsProcessed(state.iterations() *
                          static_cast<int64_t>(shape.rows * shape.cols * tokens));
  state.SetLabel(std::string(ExecutedIsa()));
}

void RegisterAll() {
  for (const quant::FormatInfo& info : quant::Formats()) {
    // The uniform family shares its code by widths: one length of groups shows it.
    const auto member = quant::GShapeOf(info.format);
    if (member && member->group != 64) continue;
    for (const Shape& shape : kShapes) {
      for (const size_t tokens : kTokens) {
        for (const Layout layout : {Layout::kRows, Layout::kPacked}) {
          if (layout == Layout::kPacked && !HasPackedForm(info.format)) continue;
          const std::string name = "matmul/" + std::string(info.name) + "/" + shape.name +
                                   "/tokens:" + std::to_string(tokens) +
                                   (layout == Layout::kPacked ? "/packed" : "/rows");
          benchmark::RegisterBenchmark(name.c_str(), RunMatMul, info.format, shape, tokens, layout,
                                       Activations::kAuto);
        }
      }
    }
  }
}

}  // namespace
}  // namespace crossover::kernels

int main(int argc, char** argv) {
  crossover::kernels::SelectIsaFromEnvironment();
  crossover::kernels::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
