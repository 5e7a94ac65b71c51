#include "engine/run/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/run/forward.h"
#include "kernels/variants.h"

namespace crossover::engine {
namespace {

constexpr size_t kMaxThreads = 1024;
constexpr size_t kMaxBatch = size_t{1} << 20;
// Positions go through 32-bit integers in attention.
constexpr size_t kMaxContext = size_t{1} << 30;

[[noreturn]] void Invalid(const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, message);
}

void CheckOptions(const EngineOptions& options) {
  if (options.threads == 0 || options.threads > kMaxThreads) {
    Invalid(fmt::format("{} threads: ask for 1 to {}", options.threads, kMaxThreads));
  }
  if (options.max_batch == 0 || options.max_batch > kMaxBatch) {
    Invalid(fmt::format("a batch of {} tokens: ask for 1 to {}", options.max_batch, kMaxBatch));
  }
  if (options.page_tokens == 0 || options.page_tokens > kMaxBatch) {
    Invalid(fmt::format("KV pages of {} tokens: ask for 1 to {}", options.page_tokens, kMaxBatch));
  }
  if (options.kv_capacity > kMaxContext) {
    Invalid(
        fmt::format("a KV cache of {} tokens: ask for up to {}", options.kv_capacity, kMaxContext));
  }
}

kernels::KvLayout MakeLayout(const ModelConfig& config, const EngineOptions& options) {
  const std::vector<quant::Format> known = kernels::KvFormats();
  const quant::FormatInfo& info = quant::Info(options.kv_format);
  if (std::ranges::find(known, options.kv_format) == known.end()) {
    std::vector<std::string_view> names;
    for (const quant::Format format : known) names.push_back(quant::Info(format).name);
    Invalid(fmt::format("the KV cache cannot hold {}; choose one of {}", info.name,
                        fmt::join(names, ", ")));
  }
  if (config.head_dim % info.block_weights != 0) {
    Invalid(
        fmt::format("the head size {} is no multiple of {}'s block of {}; choose another KV type",
                    config.head_dim, info.name, info.block_weights));
  }
  kernels::KvLayout layout;
  layout.format = options.kv_format;
  layout.layers = config.layers;
  layout.kv_heads = config.kv_heads;
  layout.head_dim = config.head_dim;
  layout.page_tokens = options.page_tokens;
  size_t bytes = layout.page_tokens * layout.row_bytes();  // far below 2^64
  for (const size_t factor : {size_t{2}, layout.kv_heads, layout.layers}) {
    if (!__builtin_mul_overflow(bytes, factor, &bytes)) continue;
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("no memory for KV pages of {} tokens in {} layers of {} heads; ask for "
                            "smaller pages",
                            layout.page_tokens, layout.layers, layout.kv_heads));
  }
  return layout;
}

size_t Capacity(const ModelConfig& config, const EngineOptions& options) {
  return options.kv_capacity == 0 ? config.context : options.kv_capacity;
}

kernels::Activations FixedActivations(const EngineOptions& options) {
  const bool by_tokens = options.activations == kernels::Activations::kAuto;
  return options.deterministic && by_tokens ? kernels::Activations::kQ8 : options.activations;
}

}  // namespace

struct Engine::State {
  State(const ModelConfig& config, const EngineOptions& options)
      : team(options.threads),
        kv(MakeLayout(config, options), Capacity(config, options)),
        activity(config, options.max_batch),
        context(options.context != 0 ? options.context : Capacity(config, options)) {}

  kernels::Team team;
  KvCache kv;
  Activity activity;
  size_t context;  // see KvTarget
  FlatBatch flat;
};

Engine::Engine(std::shared_ptr<const Model> model, const EngineOptions& options)
    : model_(std::move(model)), options_(options) {
  CheckOptions(options_);
  try {
    state_ = std::make_unique<State>(model_->config(), options_);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("no memory for the activations of {} tokens; ask for smaller batches",
                            options_.max_batch));
  }
}

Engine::~Engine() = default;

SequenceId Engine::CreateSequence() { return state_->kv.Create(); }
SequenceId Engine::CreateSharedSequence(std::span<const TokenId> tokens) {
  return state_->kv.CreateShared(tokens);
}
SequenceId Engine::Fork(SequenceId sequence, size_t length) {
  return state_->kv.Fork(sequence, length);
}
void Engine::FreeSequence(SequenceId sequence) { state_->kv.Free(sequence); }
void Engine::Truncate(SequenceId sequence, size_t length) { state_->kv.Truncate(sequence, length); }
size_t Engine::length(SequenceId sequence) const { return state_->kv.length(sequence); }
const KvCache& Engine::kv() const { return state_->kv; }
KvCache& Engine::kv() { return state_->kv; }

size_t Engine::scratch_bytes() const {
  return state_->activity.bytes() + state_->team.size() * kernels::Team::kScratchBytes;
}

namespace {

void CheckBatch(std::span<const Chunk> batch, const ModelConfig& config, size_t max_batch) {
  size_t total = 0;
  std::vector<SequenceId> seen;
  for (const Chunk& chunk : batch) {
    if (chunk.tokens.empty()) Invalid("a chunk of a batch has no tokens");
    for (const TokenId id : chunk.tokens) {
      if (id < 0 || static_cast<size_t>(id) >= config.vocab) {
        Invalid(fmt::format("token id {} is outside the vocabulary of {}", id, config.vocab));
      }
    }
    total += chunk.tokens.size();
    seen.push_back(chunk.sequence);
  }
  if (total == 0) Invalid("the batch is empty");
  if (total > max_batch) {
    Invalid(fmt::format("a batch of {} tokens exceeds the limit of {}", total, max_batch));
  }
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) {
    Invalid("a sequence stands twice in one batch");
  }
}

void AppendAll(KvCache& kv, std::span<const Chunk> batch) {
  std::vector<KvCache::Extension> extensions;
  for (const Chunk& chunk : batch) extensions.push_back({chunk.sequence, chunk.tokens});
  if (kv.Append(extensions)) return;
  throw Error(ErrorCode::kOutOfMemory,
              fmt::format("the KV cache of {} tokens is full; ask for a larger context",
                          kv.pages() * kv.layout().page_tokens));
}

void Flatten(const KvCache& kv, std::span<const Chunk> batch, FlatBatch& flat) {
  flat = {};
  for (const Chunk& chunk : batch) {
    const size_t first = kv.length(chunk.sequence) - chunk.tokens.size();
    flat.spans.push_back(
        {kv.block_table(chunk.sequence).data(), flat.tokens.size(), chunk.tokens.size(), first});
    for (size_t i = 0; i < chunk.tokens.size(); ++i) {
      if (i >= chunk.logits_from) flat.logit_rows.push_back(flat.tokens.size());
      flat.tokens.push_back(chunk.tokens[i]);
      flat.positions.push_back(first + i);
    }
  }
}

// Keys rotated by the short divisors of long-RoPE say nothing beyond the first training's context.
void CheckContext(std::span<const Chunk> batch, const KvCache& kv, const RopeWeights& rope,
                  size_t context) {
  if (rope.long_divisors.empty() || context > rope.original_context) return;
  for (const Chunk& chunk : batch) {
    const size_t length = kv.length(chunk.sequence) + chunk.tokens.size();
    if (length <= rope.original_context) continue;
    Invalid(
        fmt::format("a sequence of {} tokens, but the engine was made for {}; ask for a longer "
                    "context",
                    length, context));
  }
}

}  // namespace

Logits Engine::Forward(std::span<const Chunk> batch, const Observers& observers) {
  State& s = *state_;
  const size_t vocab = model_->config().vocab;
  CheckBatch(batch, model_->config(), options_.max_batch);
  CheckContext(batch, s.kv, model_->weights().ropes.front(), s.context);
  AppendAll(s.kv, batch);
  Flatten(s.kv, batch, s.flat);
  const size_t rows = s.flat.logit_rows.size();
  try {
    if (s.activity.logits.size() < rows * vocab) s.activity.logits.resize(rows * vocab);
  } catch (const std::bad_alloc&) {
    for (const Chunk& chunk : batch) {
      s.kv.Truncate(chunk.sequence, s.kv.length(chunk.sequence) - chunk.tokens.size());
    }
    throw Error(
        ErrorCode::kOutOfMemory,
        fmt::format("no memory for {} rows of {} logits; ask for fewer rows a pass", rows, vocab));
  }
  if (options_.deterministic) s.flat.min_tile_rows = 1;
  RunForward(s.team, *model_, FixedActivations(options_), s.flat,
             {&s.kv.layout(), s.kv.pool(), s.context}, s.activity, observers);
  for (const Chunk& chunk : batch) s.kv.Publish(chunk.sequence);
  return {s.activity.logits.data(), rows, vocab};
}

Logits Prefill(Engine& engine, SequenceId sequence, std::span<const TokenId> tokens) {
  const size_t step = engine.options().max_batch;
  Logits logits;
  while (!tokens.empty()) {
    const size_t n = std::min(step, tokens.size());
    const bool last = n == tokens.size();
    const Chunk chunk{sequence, tokens.first(n), last ? n - 1 : n};
    logits = engine.Forward({&chunk, 1});
    tokens = tokens.subspan(n);
  }
  return logits;
}

}  // namespace crossover::engine
