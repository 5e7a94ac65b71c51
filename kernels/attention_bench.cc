// Attention in the shapes of Qwen2.5: a prompt of 512 tokens after a context, and one decoded token
// a sequence. Decoding passes over as many layers as a model has, so that K and V come from where
// they come from in a model; beside it stands a plain read of the same bytes by the same threads.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "kernels/attention.h"
#include "kernels/huge_pages.h"
#include "kernels/isa.h"
#include "kernels/probe.h"
#include "quant/format.h"

namespace crossover::kernels {
namespace {

struct Heads {
  const char* model;
  size_t heads;
  size_t kv_heads;
  size_t head_dim;
};
constexpr Heads kHeads[] = {
    {"qwen2.5-0.5b", 14, 2, 64}, {"qwen2.5-1.5b", 12, 2, 128}, {"qwen2.5-7b", 28, 4, 128}};
constexpr size_t kLayers = 28;
constexpr size_t kMaxPoolBytes = size_t{3} << 29;

std::vector<float> Ramp(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i * 37 % 101) * 0.02f - 1.0f;
  return x;
}

/// One cache of `length` tokens and the queries of its last `rows`.
class Sequence {
 public:
  Sequence(Team& team, const Heads& heads, quant::Format format, size_t layers, size_t length,
           size_t rows)
      : layout_{.format = format,
                .layers = layers,
                .kv_heads = heads.kv_heads,
                .head_dim = heads.head_dim},
        blocks_(length / layout_.page_tokens + 1),
        pool_bytes_(blocks_.size() * layout_.page_bytes() / 512 * 512),
        pool_(ReserveBytes(blocks_.size() * layout_.page_bytes())),
        q_(Ramp(rows * heads.heads * heads.head_dim)),
        out_(q_.size()),
        span_{blocks_.data(), 0, rows, length - rows} {
    std::iota(blocks_.begin(), blocks_.end(), 0u);
    args_.layout = &layout_;
    args_.pool = pool_.get();
    args_.heads = heads.heads;
    args_.scale = 1.0f / std::sqrt(static_cast<float>(heads.head_dim));
    Fill(team, length);
    args_.spans = {&span_, 1};
  }

  AttentionArgs& args() { return args_; }
  const KvLayout& layout() const { return layout_; }

  void Run(Team& team) {
    team.Run([&](const Worker& worker) {
      AttentionArgs args = args_;
      for (args.layer = 0; args.layer < layout_.layers; ++args.layer) {
        Attention(worker, args, q_.data(), out_.data());
        worker.Sync();
      }
    });
  }

  /// Bytes a second of the pool read by all threads, the best of a few passes.
  double ReadRate(Team& team) const {
    double best = 0;
    for (int i = 0; i < 7; ++i) {
      const auto start = std::chrono::steady_clock::now();
      team.Run([&](const Worker& worker) {
        const Range mine = worker.Split(pool_bytes_, 512);
        ReadMemory(pool_.get() + mine.begin, mine.size(), 1, true);
      });
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      best = std::max(best, static_cast<double>(pool_bytes_) / seconds.count());
    }
    return best;
  }

 private:
  void Fill(Team& team, size_t length) {
    const AttentionSpan all{blocks_.data(), 0, length, 0};
    args_.spans = {&all, 1};
    const auto k = Ramp(length * layout_.kv_heads * layout_.head_dim);
    team.Run([&](const Worker& worker) {
      AttentionArgs args = args_;
      for (args.layer = 0; args.layer < layout_.layers; ++args.layer) {
        StoreKv(worker, args, k.data(), k.data());
      }
    });
  }

  KvLayout layout_;
  std::vector<uint32_t> blocks_;
  size_t pool_bytes_;
  ReservedBytes pool_;  // as the engine makes it
  std::vector<float> q_, out_;
  AttentionSpan span_;
  AttentionArgs args_;
};

// A query and a key: a multiplication and an addition per value, for the score and for the sum.
double Operations(const Heads& heads, size_t rows, size_t context) {
  const double pairs = static_cast<double>(rows) *
                       (static_cast<double>(context) + static_cast<double>(rows + 1) / 2);
  return 4.0 * pairs * static_cast<double>(heads.heads * heads.head_dim);
}

benchmark::Counter Rate(double amount) {
  return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
}

void Prefill(benchmark::State& state, const Heads& heads, const quant::FormatInfo& format,
             bool tiles) {
  constexpr size_t kRows = 512;
  const auto context = static_cast<size_t>(state.range(0));
  Team team(static_cast<size_t>(state.range(1)));
  Sequence sequence(team, heads, format.format, 1, context + kRows, kRows);
  sequence.args().bf16_tiles = tiles;
  for (auto _ : state) {
    sequence.Run(team);
    benchmark::ClobberMemory();
  }
  state.counters["operations"] = Rate(Operations(heads, kRows, context));
}

void Decode(benchmark::State& state, const Heads& heads, const quant::FormatInfo& format,
            bool tiles) {
  const auto context = static_cast<size_t>(state.range(0));
  Team team(static_cast<size_t>(state.range(1)));
  const KvLayout one{
      .format = format.format, .layers = 1, .kv_heads = heads.kv_heads, .head_dim = heads.head_dim};
  const size_t layer_bytes = one.bytes_per_token() * context;
  const size_t layers = std::min(kLayers, kMaxPoolBytes / layer_bytes);
  Sequence sequence(team, heads, format.format, layers, context, 1);
  sequence.args().bf16_tiles = tiles;
  const double read = sequence.ReadRate(team);
  double best = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    sequence.Run(team);
    benchmark::ClobberMemory();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(layers * layer_bytes) / seconds.count());
  }
  state.counters["layers"] = static_cast<double>(layers);
  state.counters["kv_bytes"] = Rate(static_cast<double>(layers * layer_bytes));
  state.counters["best"] = best;
  state.counters["plain_read"] = std::max(read, sequence.ReadRate(team));
}

void Register() {
  const int64_t threads = std::max(1u, std::thread::hardware_concurrency());
  for (const Heads& heads : kHeads) {
    for (const char* name : {"F16", "BF16", "F32", "Q8_0", "Q4_0"}) {
      for (const bool tiles : {false, true}) {
        const quant::FormatInfo& format = *quant::FindFormat(std::string_view(name));
        const std::string suffix =
            std::string(heads.model) + "/" + name + (tiles ? "/tiles" : "/float");
        auto* prefill = benchmark::RegisterBenchmark(
            ("prefill/" + suffix).c_str(),
            [&heads, &format, tiles](auto& state) { Prefill(state, heads, format, tiles); });
        auto* decode = benchmark::RegisterBenchmark(
            ("decode/" + suffix).c_str(),
            [&heads, &format, tiles](auto& state) { Decode(state, heads, format, tiles); });
        for (const int64_t context : {0, 8192, 32768}) prefill->Args({context, threads});
        for (const int64_t context : {512, 8192, 32768}) decode->Args({context, threads});
        for (auto* b : {prefill, decode}) {
          b->ArgNames({"context", "threads"})->Unit(benchmark::kMicrosecond)->UseRealTime();
        }
      }
    }
  }
}

}  // namespace
}  // namespace crossover::kernels

int main(int argc, char** argv) {
  crossover::kernels::SelectIsaFromEnvironment();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("isa", std::string(crossover::kernels::ExecutedIsa()));
  crossover::kernels::Register();
  benchmark::RunSpecifiedBenchmarks();
}
