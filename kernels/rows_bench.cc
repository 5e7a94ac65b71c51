// Row kernels at the widths of real layers, from the L1 cache.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "kernels/isa.h"
#include "kernels/rows.h"

namespace crossover::kernels {
namespace {

std::vector<float> Ramp(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 61) * 0.05f - 1.5f;
  return x;
}

void Report(benchmark::State& state, size_t floats_moved) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * floats_moved * sizeof(float)));
  state.SetLabel(std::string(ExecutedIsa()));
}

void BM_RmsNorm(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  const auto x = Ramp(n), weight = Ramp(n);
  std::vector<float> out(n);
  for (auto _ : state) {
    RmsNorm(x.data(), weight.data(), n, 1e-5f, out.data());
    benchmark::ClobberMemory();
  }
  Report(state, 3 * n);
}
BENCHMARK(BM_RmsNorm)->Arg(896)->Arg(4096);

void BM_Add(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  const auto x = Ramp(n);
  auto y = Ramp(n);
  for (auto _ : state) {
    Add(x.data(), n, y.data());
    benchmark::ClobberMemory();
  }
  Report(state, 3 * n);
}
BENCHMARK(BM_Add)->Arg(896)->Arg(4096);

void BM_SwiGlu(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  const auto up = Ramp(n), source = Ramp(n);
  auto gate = source;
  for (auto _ : state) {
    // From the same values each time, or they would shrink to denormals.
    gate = source;
    SwiGlu(up.data(), n, gate.data());
    benchmark::ClobberMemory();
  }
  Report(state, 5 * n);
}
BENCHMARK(BM_SwiGlu)->Arg(4864)->Arg(8960);

void BM_Softmax(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  auto x = Ramp(n);
  for (auto _ : state) {
    Softmax(n, x.data());
    benchmark::ClobberMemory();
  }
  Report(state, 2 * n);
}
BENCHMARK(BM_Softmax)->Arg(4096)->Arg(151936);

void BM_RopeTable(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  std::vector<float> table(n);
  size_t position = 0;
  for (auto _ : state) {
    RopeTable(position++ % 131072, n, 1e6f, nullptr, 1.0f, table.data());
    benchmark::ClobberMemory();
  }
  Report(state, n);
}
BENCHMARK(BM_RopeTable)->Arg(64)->Arg(128);

template <RopeStyle kStyle>
void BM_Rope(benchmark::State& state) {
  constexpr size_t kHeads = 14;
  const auto n = static_cast<size_t>(state.range(0));
  std::vector<float> table(n);
  RopeTable(1000, n, 1e6f, nullptr, 1.0f, table.data());
  auto x = Ramp(kHeads * n);
  for (auto _ : state) {
    Rope(x.data(), kHeads, n, n, kStyle, table.data());
    benchmark::ClobberMemory();
  }
  Report(state, 2 * kHeads * n);
}
BENCHMARK(BM_Rope<RopeStyle::kInterleaved>)->Arg(64)->Arg(128);
BENCHMARK(BM_Rope<RopeStyle::kNeox>)->Arg(64)->Arg(128);

}  // namespace
}  // namespace crossover::kernels

int main(int argc, char** argv) {
  crossover::kernels::SelectIsaFromEnvironment();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
