// Attention of one layer in the shape of Qwen2.5-1.5B (12 heads on 2 KV heads of 128): a decoded
// token against a context, and a prompt of 512 tokens, on one thread.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/isa.h"
#include "quant/format.h"

namespace crossover::kernels {
namespace {

// {format's number, tokens at once, context before them}
void BM_Attention(benchmark::State& state) {
  const quant::FormatInfo& format = quant::Formats()[static_cast<size_t>(state.range(0))];
  const auto rows = static_cast<size_t>(state.range(1));
  const auto context = static_cast<size_t>(state.range(2));
  constexpr size_t kHeads = 12;
  KvLayout layout{.format = format.format, .layers = 1, .kv_heads = 2, .head_dim = 128};
  const size_t length = context + rows;
  std::vector<uint32_t> blocks(length / layout.page_tokens + 1);
  std::iota(blocks.begin(), blocks.end(), 0u);
  std::vector<std::byte> pool(blocks.size() * layout.page_bytes());
  const auto ramp = [](size_t n) {
    std::vector<float> x(n);
    for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i * 37 % 101) * 0.02f - 1.0f;
    return x;
  };
  const auto k = ramp(length * layout.kv_heads * layout.head_dim);
  const auto v = ramp(length * layout.kv_heads * layout.head_dim);
  const auto q = ramp(rows * kHeads * layout.head_dim);
  std::vector<float> out(q.size());

  AttentionArgs args;
  args.layout = &layout;
  args.pool = pool.data();
  args.heads = kHeads;
  args.scale = 1.0f / std::sqrt(128.0f);
  const AttentionSpan all{blocks.data(), 0, length, 0};
  const AttentionSpan span{blocks.data(), 0, rows, context};
  Team team(1);
  team.Run([&](const Worker& worker) {
    args.spans = {&all, 1};
    StoreKv(worker, args, k.data(), v.data());
  });
  args.spans = {&span, 1};
  for (auto _ : state) {
    team.Run([&](const Worker& worker) { Attention(worker, args, q.data(), out.data()); });
    benchmark::ClobberMemory();
  }
  // A query and a key: a multiplication and an addition per value, for the score and for the sum.
  const double pairs = static_cast<double>(rows) *
                       (static_cast<double>(context) + static_cast<double>(rows + 1) / 2);
  const auto per_second = [&](double amount) {
    return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["operations"] = per_second(4.0 * pairs * kHeads * 128);
  state.counters["kv_bytes"] = per_second(static_cast<double>(length * layout.bytes_per_token()));
  state.SetLabel(std::string(format.name) + " " + std::string(ExecutedIsa()));
}

// The KV formats, wherever they stand in the list of formats.
void KvFormats(benchmark::internal::Benchmark* benchmark) {
  const auto formats = quant::Formats();
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    for (size_t i = 0; i < formats.size(); ++i) {
      if (formats[i].name != name) continue;
      for (const int64_t context : {512, 8192}) {
        benchmark->Args({static_cast<int64_t>(i), 1, context});
      }
      benchmark->Args({static_cast<int64_t>(i), 512, 0});
    }
  }
}
BENCHMARK(BM_Attention)->Apply(KvFormats)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace crossover::kernels

int main(int argc, char** argv) {
  crossover::kernels::SelectIsaFromEnvironment();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
