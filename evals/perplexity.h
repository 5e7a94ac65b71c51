// Perplexity by llama-perplexity's default protocol: the text in chunks of C tokens without
// overlap, each with a fresh cache; the second half of each chunk is scored.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "evals/statistics.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

using tokenizer::TokenId;

/// Called after each chunk with chunks done, chunks in all, and the perplexity so far.
using PerplexityProgress = std::function<void(size_t done, size_t total, double ppl)>;

struct PerplexityOptions {
  size_t context = 512;  // C, tokens a chunk
  size_t chunks = 0;     // at most so many; 0: all that the text has
  /// Also writes 16-bit log-probabilities in llama-perplexity's file format; empty: does not.
  std::filesystem::path kl_save{};
  PerplexityProgress progress{};  // may be null
};

struct PerplexityResult {
  double ppl = 0;
  double ppl_stderr = 0;  // tokens taken as independent, as llama-perplexity does
  /// From the spread of the chunks' means, which holds when tokens of a chunk are correlated; NaN
  /// for a single chunk.
  double ppl_block_stderr = 0;
  size_t tokens = 0;  // scored
  size_t chunks = 0;
  size_t context = 0;
  size_t first = 0;             // position in the chunk of the first scored input: C / 2
  bool bos = false;             // each chunk's first token was replaced by BOS
  std::vector<double> running;  // perplexity after each chunk
};

/// The protocol's bookkeeping, without a model.
struct ChunkPlan {
  size_t context = 0;
  size_t chunks = 0;
  size_t first = 0;
  bool replace_by_bos = false;
  TokenId bos = 0;

  size_t scored_per_chunk() const { return context - 1 - first; }
  /// Chunk c's input: its first token is BOS where the vocabulary adds one. The last token of the
  /// chunk predicts nothing that is scored and is left out: context - 1 tokens.
  std::vector<TokenId> Input(std::span<const TokenId> tokens, size_t chunk) const;
  /// What input position first + i of chunk c must predict.
  TokenId Target(std::span<const TokenId> tokens, size_t chunk, size_t i) const {
    return tokens[chunk * context + first + i + 1];
  }
};

/// The text's tokens as the protocol wants them: one final newline dropped, BOS prepended where the
/// vocabulary adds it, special tokens in the text not parsed.
std::vector<TokenId> TokenizeForPerplexity(const tokenizer::Tokenizer& tokenizer,
                                           std::string_view text);

/// Error(kInvalidArgument) with the counts if there are fewer than 2 C tokens, or C < 4.
ChunkPlan PlanChunks(const tokenizer::Tokenizer& tokenizer, size_t tokens, size_t context,
                     size_t max_chunks);

/// From negative log-likelihoods (nats), [chunks][scored_per_chunk], to the figures.
PerplexityResult SummarisePerplexity(std::span<const double> nll, const ChunkPlan& plan);

/// Error(kInvalidArgument) if text, vocabulary and options do not fit together, Error(kNonFinite)
/// naming the chunk, Error(kInterrupted). The engine must have room for one chunk.
PerplexityResult Perplexity(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                            std::string_view text, const PerplexityOptions& options = {});

}  // namespace crossover::evals
