// Runs a model: sequences in a paged KV cache, batches that mix prefill and decode, logits where
// asked. This header is all that a program needs to load a model (Model::Load, LoadTokenizer), to
// inspect it (Model), to generate (Generate) and to score (Score); docs/example.cc does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/model/load_tokenizer.h"
#include "engine/model/model.h"
#include "engine/run/generate.h"
#include "engine/run/kv_cache.h"
#include "engine/run/product_tap.h"
#include "engine/run/score.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

using tokenizer::TokenId;

struct EngineOptions {
  size_t threads = 1;
  kernels::Activations activations = kernels::Activations::kAuto;
  quant::Format kv_format{1};  // F16; also F32, BF16, Q8_0, Q4_0
  size_t page_tokens = 16;
  size_t kv_capacity = 0;  // tokens over all sequences; 0: the model's context length
  size_t max_batch = 512;  // tokens in one forward pass
  /// The longest a sequence will be; 0: kv_capacity. Models with long-RoPE (Phi-3 128k) rotate
  /// sequences otherwise where this exceeds the context of their first training.
  size_t context = 0;
  /// A sequence's logits are the same bits whatever else is in the batch, however it is cut into
  /// chunks, and whether it began with cached pages. Otherwise Activations::kAuto and attention
  /// choose their kernels by the number of tokens, and logits move by what rounding activations to
  /// 8 bits, or to bfloat16, moves them (docs/guide.md has figures). kAuto then is kQ8, which
  /// prompts pay for; attention takes tile units for single tokens too. (The number of threads
  /// changes no bit in any case.)
  bool deterministic = false;
};

/// Consecutive tokens that extend one sequence.
struct Chunk {
  SequenceId sequence;
  std::span<const TokenId> tokens;
  /// Logits are returned for tokens[logits_from …]; tokens.size() or more: for none.
  size_t logits_from = 0;
};

/// Row-major float32 [rows][vocab]: the chunks' rows in order. Valid until the next Forward.
struct Logits {
  const float* data = nullptr;
  size_t rows = 0;
  size_t vocab = 0;
  std::span<const float> row(size_t i) const { return {data + i * vocab, vocab}; }
};

/// Threads: a Model is constant, and any number of engines and threads may share it. An Engine,
/// with its KvCache and a Scheduler on it, is one thread's at a time: no two calls at once, and
/// none from inside an OpenMP region. A pass runs on `threads` threads of OpenMP, which belong to
/// the calling thread and stay; calls from one thread spare a second set of them.
///
/// fork(): a child has none of these threads, but OpenMP's runtime counts on them. After a pass
/// with more than one thread the child may exec, or exit with _exit; a pass in it, or an Engine of
/// more than one thread, would wait for ever (libgomp). To run models in several processes, fork
/// before the first Engine is made and before a Model is loaded with more than one thread.
class Engine {
 public:
  /// Error(kOutOfMemory, kInvalidArgument).
  Engine(std::shared_ptr<const Model> model, const EngineOptions& options);
  ~Engine();

  /// A new empty sequence; Free gives its pages back.
  SequenceId CreateSequence();
  /// A sequence that shares: it begins with the longest part of `tokens` that is cached (length()
  /// says how long; feed the rest), and what is fed to it others may begin with, also after Free,
  /// until the room is needed. Whose logits are wanted must be fed: give `tokens` without it.
  SequenceId CreateSharedSequence(std::span<const TokenId> tokens);
  /// A second sequence with the same first `length` tokens; the pages are shared until one of them
  /// writes. Error(kInvalidArgument) if there are fewer.
  SequenceId Fork(SequenceId sequence, size_t length);
  void FreeSequence(SequenceId sequence);
  /// Forgets all from position `length` on (to score another continuation of the same prefix).
  void Truncate(SequenceId sequence, size_t length);
  size_t length(SequenceId sequence) const;

  /// One pass over all chunks. Each sequence at most once in a batch; at most max_batch tokens in
  /// all; positions must stay below the KV capacity. Error(kInvalidArgument) for a batch that
  /// breaks this or an id outside the vocabulary, Error(kOutOfMemory) when pages run out (nothing
  /// is changed then).
  /// `observers`, if any, see what each step leaves, or what products get; the pass is slower then.
  Logits Forward(std::span<const Chunk> batch, const Observers& observers = {});

  const Model& model() const { return *model_; }
  std::shared_ptr<const Model> shared_model() const { return model_; }
  const EngineOptions& options() const { return options_; }
  const KvCache& kv() const;
  KvCache& kv();
  /// Bytes of scratch this engine holds beside the weights and the KV pages.
  size_t scratch_bytes() const;

 private:
  struct State;
  std::shared_ptr<const Model> model_;
  EngineOptions options_;
  std::unique_ptr<State> state_;
};

/// Feeds `tokens` in passes of max_batch, keeping the logits of the last token only.
Logits Prefill(Engine& engine, SequenceId sequence, std::span<const TokenId> tokens);

}  // namespace crossover::engine
