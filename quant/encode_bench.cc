// Scalar encode (with and without importance) and decode of one row, per format.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "quant/format.h"
#include "quant/test_data.h"

namespace crossover::quant {
namespace {

constexpr size_t kWeights = 8192;

void Encode(benchmark::State& state, const FormatInfo* info, bool important) {
  const std::vector<float> row = test::Gaussian(kWeights, 1);
  const std::vector<float> importance = test::Importance(kWeights, 2);
  std::vector<uint8_t> blocks(info->row_bytes(kWeights));
  for (auto _ : state) {
    info->encode(row.data(), kWeights, important ? importance.data() : nullptr, blocks.data());
    benchmark::DoNotOptimize(blocks.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kWeights));
}

void Decode(benchmark::State& state, const FormatInfo* info) {
  const std::vector<float> row = test::Gaussian(kWeights, 1);
  std::vector<uint8_t> blocks(info->row_bytes(kWeights));
  info->encode(row.data(), kWeights, nullptr, blocks.data());
  std::vector<float> out(kWeights);
  for (auto _ : state) {
    info->decode(blocks.data(), kWeights, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kWeights));
}

void RegisterAll() {
  for (const FormatInfo& info : Formats()) {
    const std::string name(info.name);
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), Encode, &info, false);
    benchmark::RegisterBenchmark(("encode_importance/" + name).c_str(), Encode, &info, true);
    benchmark::RegisterBenchmark(("decode/" + name).c_str(), Decode, &info);
  }
}

}  // namespace
}  // namespace crossover::quant

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  crossover::quant::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
}
