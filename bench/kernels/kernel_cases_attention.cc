// Attention in the shapes of models: a prompt, or one token a sequence after a context. Passes go
// from layer to layer, so that K and V come from the level that is asked for.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bench/kernels/kernel_cases.h"
#include "bench/kernels/kernel_operands.h"
#include "kernels/attention.h"
#include "kernels/choice.h"
#include "kernels/variants.h"

namespace crossover::bench {
namespace {

using kernels::AttentionArgs;
using kernels::AttentionSpan;
using kernels::KvLayout;
using kernels::Worker;

constexpr std::string_view kDefaultKvFormat = "F16";
constexpr size_t kDecodeContext = 8192;

/// One sequence's cache of `length` tokens over `layers` layers, and the queries of the last rows.
class Cache {
 public:
  Cache(KernelBench& bench, const engine::SynthShape& model, const KvLayout& layout, size_t length,
        size_t rows)
      : layout_(layout),
        blocks_(length / layout_.page_tokens + 1),
        pool_(blocks_.size() * layout_.page_bytes(), blocks_.size() * layout_.page_bytes(), 0,
              PageSize::kHuge, bench.team),
        q_(BenchmarkRows(rows * model.heads * model.head_dim)),
        out_(q_.size()),
        span_{blocks_.data(), 0, rows, length - rows} {
    std::iota(blocks_.begin(), blocks_.end(), 0u);
    args_.layout = &layout_;
    args_.pool = pool_.data();
    args_.heads = model.heads;
    args_.bf16_tiles = true;  // as with --activations auto
    args_.scale = 1.0f / std::sqrt(static_cast<float>(model.head_dim));
    Fill(bench.team, length);
    args_.spans = {&span_, 1};
  }
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  void Run(const Worker& worker, size_t first, size_t count) {
    AttentionArgs args = args_;
    for (size_t i = first; i < first + count; ++i) {
      args.layer = i % layout_.layers;
      kernels::Attention(worker, args, q_.data(), out_.data());
      worker.Sync();
    }
  }

 private:
  void Fill(kernels::Team& team, size_t length) {
    const AttentionSpan all{blocks_.data(), 0, length, 0};
    args_.spans = {&all, 1};
    const auto k = BenchmarkRows(length * layout_.kv_heads * layout_.head_dim);
    team.Run([&](const Worker& worker) {
      AttentionArgs args = args_;
      for (args.layer = 0; args.layer < layout_.layers; ++args.layer) {
        kernels::StoreKv(worker, args, k.data(), k.data());
      }
    });
  }

  KvLayout layout_;
  std::vector<uint32_t> blocks_;
  ReadBuffer pool_;
  std::vector<float> q_, out_;
  AttentionSpan span_;
  AttentionArgs args_;
};

KernelWork Prepare(KernelBench& bench, const engine::SynthShape& model, const KvLayout& layout,
                   size_t context, size_t tokens, const std::string& working_set) {
  auto cache = std::make_shared<Cache>(bench, model, layout, context + tokens, tokens);
  // A query and a key: a multiplication and an addition per value, for the score and for the sum.
  const double pairs = static_cast<double>(tokens) *
                       (static_cast<double>(context) + static_cast<double>(tokens + 1) / 2);
  const kernels::KernelChoice choice =
      kernels::ChooseAttention(tokens, model.heads / model.kv_heads, true);
  return {
      .bytes = static_cast<double>(layout.bytes_per_token() / layout.layers * (context + tokens)),
      .operations = 4.0 * pairs * static_cast<double>(model.heads * model.head_dim),
      .kernel = std::string(choice.kernel),
      .limit = tokens <= kernels::kMaxGemvTokens ? working_set : std::string(choice.unit),
      .copies = layout.layers,
      .run = [cache](const Worker& worker, size_t first, size_t count) {
        cache->Run(worker, first, count);
      }};
}

void AddCases(const KernelAxes& axes, const engine::SynthShape& model, quant::Format format,
              size_t context, size_t tokens, std::vector<KernelCase>& cases) {
  KvLayout layout{
      .format = format, .layers = 1, .kv_heads = model.kv_heads, .head_dim = model.head_dim};
  const size_t layer_bytes = layout.bytes_per_token() * (context + tokens);
  for (const std::string& working_set : axes.working_sets) {
    const size_t budget = WorkingSetBytes(*axes.machine, working_set, axes.threads);
    // Arithmetic bounds a prompt: one layer, wherever it lies.
    const bool prompt = tokens > kernels::kMaxGemvTokens;
    if (prompt ? &working_set != &axes.working_sets.back() : layer_bytes > budget) continue;
    layout.layers = prompt ? 1 : budget / layer_bytes;
    for (const std::string& level : axes.levels) {
      cases.push_back({"attention", std::string(quant::Info(format).name),
                       fmt::format("{}/context:{}", HeadsShape(model), context), tokens, "",
                       prompt ? LevelOf(*axes.machine, layer_bytes, axes.threads) : working_set,
                       level, [=, &model](KernelBench& bench) {
                         return Prepare(bench, model, layout, context, tokens, working_set);
                       }});
    }
  }
}

}  // namespace

void AddAttentionCases(const KernelAxes& axes, std::vector<KernelCase>& cases) {
  if (!axes.HasOperation("attention")) return;
  for (const engine::SynthShape* model : BenchmarkModels()) {
    if (!axes.HasShape(HeadsShape(*model))) continue;
    for (const quant::Format format : kernels::KvFormats()) {
      const bool wanted = axes.default_formats ? quant::Info(format).name == kDefaultKvFormat
                                               : axes.HasFormat(format);
      if (!wanted) continue;
      for (const size_t tokens : axes.tokens) {
        const size_t usual = tokens <= kernels::kMaxGemvTokens ? kDecodeContext : 0;
        for (const size_t context : axes.contexts.empty() ? std::vector{usual} : axes.contexts) {
          AddCases(axes, *model, format, context, tokens, cases);
        }
      }
    }
  }
}

}  // namespace crossover::bench
