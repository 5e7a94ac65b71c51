// Softmax attention over a paged KV cache, with grouped queries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/team.h"
#include "quant/format.h"

namespace crossover::kernels {

/// Longest head that a worker's scratch has room for.
inline constexpr size_t kMaxHeadDim = 1024;

/// Query rows (a row is a token and a query head of one KV head) of a sequence from which on tile
/// units beat float32 vectors, measured with F16 and Q8_0 pages in the L2 cache: float32 takes as
/// long as its rows are many, tiles as long for 1 row as for 16.
inline constexpr size_t kMinTileRows = 5;

/// Where K and V of a token lie. The pool is an array of pages; a page holds `page_tokens` slots
/// for all layers:  page → layer → {K, V} → kv head → slot → head_dim values as blocks of `format`.
struct KvLayout {
  quant::Format format{};
  size_t layers = 0;
  size_t kv_heads = 0;
  size_t head_dim = 0;  // a multiple of the format's block_weights, ≤ kMaxHeadDim
  size_t page_tokens = 16;

  size_t row_bytes() const;  // one head of one token
  size_t layer_bytes() const { return 2 * kv_heads * page_tokens * row_bytes(); }
  size_t page_bytes() const { return layers * layer_bytes(); }
  size_t bytes_per_token() const { return page_bytes() / page_tokens; }
  /// Offsets inside a page.
  size_t key_offset(size_t layer, size_t head, size_t slot) const;
  size_t value_offset(size_t layer, size_t head, size_t slot) const;
};

/// A run of consecutive tokens of one sequence inside a batch.
struct AttentionSpan {
  const uint32_t*
      block_table;   // page ids; entry i holds positions [i·page_tokens, (i+1)·page_tokens)
  size_t first_row;  // row in q, out, k, v of the first token
  size_t rows;
  size_t first_position;  // position of the first token; token i attends to 0 … first_position + i
};

struct AttentionArgs {
  const KvLayout* layout = nullptr;
  std::byte* pool = nullptr;
  size_t layer = 0;
  size_t heads = 0;         // query heads; a multiple of layout->kv_heads
  float scale = 1.0f;       // usually 1/sqrt(head_dim)
  float soft_cap = 0.0f;    // s ← cap · tanh(s / cap); 0: none
  size_t window = 0;        // attends to the last `window` positions only, itself included; 0: all
  bool bf16_tiles = false;  // operands may be rounded to bfloat16 for tile units; see Attention
  size_t min_tile_rows = kMinTileRows;  // of a span, from which on; 1: always
  std::span<const AttentionSpan> spans;
  /// [heads]: a score of each head for a position without a value, which takes its share of the
  /// softmax ("sinks", arXiv 2309.17453); empty: none. With them all is computed in float32.
  std::span<const float> sinks;
};

/// Stores k, v (float32 [row][kv_heads][head_dim]) of every span's tokens into their pages. Called
/// by all workers; no barrier at the end.
void StoreKv(const Worker& worker, const AttentionArgs& args, const float* k, const float* v);

/// out[row][heads][head_dim] = softmax(scale · q·Kᵀ) · V. Called by all workers after the barrier
/// that ends StoreKv; no barrier at the end, but one has to come before any worker's scratch is
/// used again, for others may still read results in it. Pages that lie wholly before every token's
/// window are not touched.
///
/// In float32 throughout, unless bf16_tiles is set, the CPU has tile units and the span has at
/// least min_tile_rows rows: then q, k, v and the probabilities p are rounded to bfloat16, each by
/// a factor within 1 ± 2^-9, and all sums and the softmax stay in float32. A score s = scale · q·k
/// then is off by |δ| ≤ 2^-8 scale Σ|q k| (by a third of 2^-9 scale √(Σ(q k)²) as a rule), and the
/// result by Σ p (e^(2 max|δ|) - 1 + 2^-8) |v| at most.
///
/// A token's result depends on its query and the stored keys and values alone, bit for bit: not on
/// the number of workers, the page size, or the spans and batches that its sequence came in, except
/// that with bf16_tiles set a span of fewer than min_tile_rows rows is computed in float32. One
/// more exception with tiles: a NaN or infinity in V may reach tokens of the same span that come
/// before it.
void Attention(const Worker& worker, const AttentionArgs& args, const float* q, float* out);

}  // namespace crossover::kernels
