// Packs many short runs of tokens into forward passes.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/sequence.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

using engine::ScopedSequence;
using tokenizer::TokenId;

/// Passes are filled up to so many tokens: beyond what takes the engine's one-token kernels, so
/// that with Activations::kAuto all passes compute alike.
inline constexpr size_t kMinimumPassTokens = 32;

/// Tokens that extend a sequence; rows of logits are wanted for tokens[logits_from …].
struct Segment {
  engine::SequenceId sequence;
  std::span<const TokenId> tokens;
  size_t logits_from = 0;
};

/// A stretch of a segment in a pass.
struct Piece {
  size_t segment = 0;
  size_t begin = 0;
  size_t end = 0;
};

/// In order, as many whole segments a pass as fit `max_tokens` tokens and `max_rows` rows of
/// logits; a segment too large for any pass is cut. A segment is at most once in a pass. Empty ones
/// are skipped.
std::vector<std::vector<Piece>> PackPasses(std::span<const Segment> segments, size_t max_tokens,
                                           size_t max_rows);

class PassRunner {
 public:
  explicit PassRunner(engine::Engine& engine);

  /// Called for each wanted row, from several threads at once and in no order; must not throw.
  using RowConsumer =
      std::function<void(size_t segment, size_t token, std::span<const float> logits)>;
  void Run(std::span<const Segment> segments, const RowConsumer& consume);

  /// Tokens of cache that fillers may take.
  static constexpr size_t kReservedTokens = kMinimumPassTokens;

 private:
  void RunPass(std::span<const Segment> segments, std::span<const Piece> pass,
               const RowConsumer& consume);

  engine::Engine& engine_;
  ScopedSequence filler_;
  std::vector<TokenId> filler_tokens_;
};

}  // namespace crossover::evals
