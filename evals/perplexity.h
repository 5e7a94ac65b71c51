// Perplexity by llama-perplexity's protocols, each chunk of the text with a fresh cache.
//   plain    chunks of C tokens without overlap; the second half of each is scored
//   strided  windows of C + S/2 tokens that begin S tokens apart; the last S of each are scored, so
//            that all tokens but the first C - S/2 count, each with at least C - S/2 before it
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/run/engine.h"
#include "evals/statistics.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

using tokenizer::TokenId;

/// Called after each chunk with chunks done, chunks in all, and the perplexity so far.
using PerplexityProgress = std::function<void(size_t done, size_t total, double ppl)>;

/// Of a file of saved rows (evals/kl_file.h).
enum class KlFormat {
  kExact,     // ours: the float32 logits
  kLlamaCpp,  // llama-perplexity's: 16-bit log-probabilities, clamped 16 below the largest
};

struct PerplexityOptions {
  size_t context = 512;  // C, tokens a chunk
  size_t chunks = 0;     // at most so many; 0: all that the text has
  size_t stride = 0;     // S; 0: plain
  /// Also writes each scored row, the base of a KL divergence; empty: does not.
  std::filesystem::path kl_save{};
  KlFormat kl_format = KlFormat::kExact;
  PerplexityProgress progress{};  // may be null
};

struct PerplexityResult {
  double ppl = 0;
  double ppl_stderr = 0;  // tokens taken as independent, as llama-perplexity does
  /// From the spread of the chunks' means, which holds when tokens of a chunk are correlated; NaN
  /// for a single chunk.
  double ppl_block_stderr = 0;
  double chunk_autocorrelation = 0;  // see BlockAutocorrelation
  size_t tokens = 0;                 // scored
  size_t chunks = 0;
  size_t context = 0;           // tokens a chunk
  size_t stride = 0;            // from one chunk's beginning to the next's
  size_t first = 0;             // position in the chunk of the first scored input
  bool bos = false;             // each chunk's first token was replaced by BOS
  std::vector<double> running;  // perplexity after each chunk
  std::vector<double> nll;      // nats, [chunks][scored positions]
};

/// Two models over the same tokens. Each ± is that of the pairs' differences.
struct PairedPerplexity {
  double correlation = 0;  // of the two ln PPL
  Estimate ln_ratio;       // ln(PPL / PPL of the base): the mean difference of a token's nll
  double ln_ratio_block_stderr = 0;  // from the chunks' means
  Estimate ratio;
  Estimate difference;
};

/// The protocol's bookkeeping, without a model.
struct ChunkPlan {
  size_t context = 0;
  size_t chunks = 0;
  size_t first = 0;
  size_t stride = 0;  // 0: context
  bool replace_by_bos = false;
  TokenId bos = 0;

  size_t start(size_t chunk) const { return chunk * (stride == 0 ? context : stride); }
  size_t scored_per_chunk() const { return context - 1 - first; }
  /// Chunk c's input: its first token is BOS where the vocabulary adds one. The last token of the
  /// chunk predicts nothing that is scored and is left out: context - 1 tokens.
  std::vector<TokenId> Input(std::span<const TokenId> tokens, size_t chunk) const;
  /// What input position first + i of chunk c must predict.
  TokenId Target(std::span<const TokenId> tokens, size_t chunk, size_t i) const {
    return tokens[start(chunk) + first + i + 1];
  }
};

/// The text's tokens as the protocol wants them: one final newline dropped, BOS prepended where the
/// vocabulary adds it, special tokens in the text not parsed.
std::vector<TokenId> TokenizeForPerplexity(const tokenizer::Tokenizer& tokenizer,
                                           std::string_view text);

/// Plain chunks, as many as given.
ChunkPlan PlainChunks(const tokenizer::Tokenizer& tokenizer, size_t context, size_t chunks);

/// Tokens of a chunk: C, or C + S/2.
constexpr size_t ChunkTokens(size_t context, size_t stride) { return context + stride / 2; }

/// Error(kInvalidArgument) with the counts if there are too few tokens (plain: fewer than 2 C),
/// C < 4, or S ≥ C. BOS replaces nothing in strided windows: only the text's own stands there.
ChunkPlan PlanChunks(const tokenizer::Tokenizer& tokenizer, size_t tokens,
                     const PerplexityOptions& options);

/// Error(kNonFinite) of scored row `row` of a chunk, with the layer and tensor at fault.
[[noreturn]] void ThrowNonFiniteRow(const engine::Engine& engine, std::span<const TokenId> tokens,
                                    const ChunkPlan& plan, size_t chunk, size_t row);

/// From negative log-likelihoods (nats), [chunks][scored_per_chunk], to the figures.
PerplexityResult SummarisePerplexity(std::span<const double> nll, const ChunkPlan& plan);

/// Precondition: both of the same plan and tokens.
PairedPerplexity ComparePerplexity(const PerplexityResult& result, const PerplexityResult& base);

/// Error(kInvalidArgument) if text, vocabulary and options do not fit together, Error(kNonFinite)
/// naming the chunk, Error(kInterrupted). The engine must have room for one chunk.
PerplexityResult Perplexity(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                            std::string_view text, const PerplexityOptions& options = {});

}  // namespace crossover::evals
