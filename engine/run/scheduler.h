// Continuous batching: many requests, whatever their lengths, in passes near the engine's max_batch
// tokens. A request is a text of which logits are wanted; where `next` gives further tokens it is a
// generation. Generation and evaluation are both clients of this.
//
//   Scheduler scheduler(engine);
//   scheduler.Submit({.tokens = prompt, .on_row = …, .next = …});
//   scheduler.Run();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/run/engine.h"

namespace crossover::engine {

using RequestId = uint64_t;  // never used again

/// How a request ended.
enum class RequestEnd : uint8_t {
  kFinished,     // every wanted row was delivered, and `next` (if any) gave no further token
  kOutOfMemory,  // pages ran out: alone it needs more than the pool has, or WhenFull::kRefuse
  kCancelled,
};

struct Request {
  static constexpr size_t kLastRow = SIZE_MAX;

  std::vector<TokenId> tokens;  // at least one
  /// Logits are wanted of tokens[logits_from …]; kLastRow: of the last one only; tokens.size(): of
  /// none (to fill the cache).
  size_t logits_from = kLastRow;
  /// Higher ones first; among equals the order of Submit.
  int priority = 0;
  /// Begins with the longest cached prefix, and leaves its pages for others to begin with. Off
  /// for texts that have nothing in common: their pages are used again at once.
  bool share = true;

  /// logits: float32 [vocab], valid during the call; they predict what follows token `position`.
  /// Every wanted row comes exactly once, whatever is preempted and recomputed. The rows of one
  /// pass come in no order and from several threads at once (also of one request), those of later
  /// passes later. Must not throw. Null: nobody looks.
  std::function<void(size_t position, std::span<const float> logits)> on_row;
  /// Called when all tokens are fed and their rows delivered: the token to go on with, whose row is
  /// then wanted too, or none to end. Null: ends.
  std::function<std::optional<TokenId>()> next;
  /// The last call for this request. Its pages are free or cached by now.
  std::function<void(RequestEnd)> on_end;
};

/// What happens when pages run out while several requests are running.
enum class WhenFull : uint8_t {
  kPreempt,  // the latest of the lowest priority gives its pages up, and waits to be recomputed
  kRefuse,   // the one that needs a page ends with kOutOfMemory
};

struct SchedulerOptions {
  size_t max_sequences = 64;  // running at once
  WhenFull when_full = WhenFull::kPreempt;
  /// Rows of logits in one pass take at most this (but there are 16 rows at least).
  size_t max_logit_bytes = size_t{64} << 20;
  /// Tokens of prompts in a pass that generations take part in, each of which waits for all of it.
  size_t prompt_tokens_beside = SIZE_MAX;
};

struct SchedulerStats {
  size_t passes = 0;
  size_t tokens = 0;    // fed, recomputed ones included
  size_t attached = 0;  // tokens that were found in the cache instead of being fed
  size_t preemptions = 0;
};

/// Callbacks `next` and `on_end` are called on the thread of Step, one at a time, in order of
/// Submit within a pass; they may call Submit and Cancel (to score the continuations of a text once
/// the text is cached, say). What they throw leaves Step; the scheduler may then only be destroyed.
///
/// A pass takes one token of every running generation, then prompts in order (chunked: what does
/// not fit goes on in the next pass). A request whose prompt begins like one that is just being fed
/// waits for it, to share its pages. No request starves: a prompt too long for a pass leaves part
/// of it to those behind it, and generations take turns if they are more than a pass holds.
///
/// What is fed when depends on the requests alone, not on the number of threads or on time.
class Scheduler {
 public:
  /// The engine must outlive the scheduler; other sequences of it may exist, and take pages.
  explicit Scheduler(Engine& engine, const SchedulerOptions& options = {});
  ~Scheduler();  // drops what is running, without calls

  /// Error(kInvalidArgument): no tokens, an id outside the vocabulary, or more tokens than the
  /// engine's cache has room for.
  RequestId Submit(Request request);
  /// Ends a request with kCancelled, before this returns; nothing if it has ended already.
  void Cancel(RequestId request);

  /// One pass; false if no request is left. Error: as of Engine::Forward, and from callbacks.
  bool Step();
  /// Steps until no request is left. Error(kInterrupted) besides.
  void Run();

  size_t running() const;
  size_t waiting() const;
  const SchedulerStats& stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace crossover::engine
