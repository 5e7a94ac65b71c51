// One forward pass over a batch: the transformer as the papers write it. Runs inside one team; all
// steps are SPMD, each worker doing its share, with a barrier where a step reads what others wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model.h"
#include "engine/run/probe.h"
#include "engine/run/product_tap.h"
#include "kernels/attention.h"
#include "kernels/huge_pages.h"
#include "kernels/matmul.h"
#include "kernels/team.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

/// An expert of a token, and what its result is multiplied by.
struct ExpertChoice {
  uint32_t expert;
  float weight;
};

/// A token of an expert.
struct ExpertRow {
  size_t token;
  float weight;
};

/// Every intermediate, for up to max_tokens rows. All but the logits lie in one piece of memory, in
/// huge pages where it is large: products write a column of tiles down all rows.
class Activity {
 public:
  /// std::bad_alloc, Error(kOutOfMemory).
  Activity(const ModelConfig& config, size_t max_tokens);
  size_t bytes() const;

  size_t max_tokens;
  std::span<float> x;          // [tokens][dim]: the residual stream
  std::span<float> normed;     // [tokens][dim]: norms, and what a post-norm is taken of
  std::span<float> q;          // [tokens][heads · head_dim]
  std::span<float> k, v;       // [tokens][kv_heads · head_dim]
  std::span<float> attention;  // [tokens][heads · head_dim]
  std::span<float> gate, up;   // [tokens][ffn_dim]
  std::span<float> rope;       // [ropes][tokens][rotary_dim]: cosines, then sines
  // Of models with experts.
  std::span<float> router_scores;      // [tokens][experts]
  std::span<float> expert_values;      // [tokens][dim]: of one expert's tokens
  std::span<float> expert_sum;         // [tokens][dim]
  std::vector<ExpertChoice> choices;   // [tokens][used]
  std::vector<ExpertRow> expert_rows;  // [tokens · used], by expert
  std::vector<size_t> expert_begin;    // [experts + 1] in expert_rows
  std::vector<float> logits;           // [rows][vocab], grown on demand
  kernels::MatMulInput input;
  kernels::MatMulInput ffn_input;  // of W_down, written while `input` is read

 private:
  kernels::Bytes memory_;
  size_t memory_bytes_ = 0;
};

/// A batch, flattened.
struct FlatBatch {
  std::vector<tokenizer::TokenId> tokens;
  std::vector<size_t> positions;              // [tokens]
  std::vector<size_t> logit_rows;             // which tokens' logits are wanted, ascending
  std::vector<kernels::AttentionSpan> spans;  // one per chunk
  /// From how many query rows on a span takes tile units (kernels::AttentionArgs).
  size_t min_tile_rows = kernels::kMinTileRows;
};

/// Where K and V go.
struct KvTarget {
  const kernels::KvLayout* layout;
  std::byte* pool;
  /// Tokens that a sequence may come to have: chooses between long-RoPE's sets of divisors, for
  /// all keys of a pool are rotated alike.
  size_t context;
};

/// Fills activity.logits[0 … logit_rows).
/// Preconditions: ids and positions are in range, activity has room, the spans' pages are
/// allocated.
void RunForward(kernels::Team& team, const Model& model, kernels::Activations activations,
                const FlatBatch& batch, const KvTarget& kv, Activity& activity,
                const Observers& observers = {});

/// What a pass is made of. kLayer is kAttention and kFeedForward, which models whose blocks read
/// the same x (ModelConfig::parallel_blocks) do not have apart.
enum class Block : uint8_t { kEmbedding, kAttention, kFeedForward, kLayer, kOutput };

/// One of them alone, from `activity.x` to it (kOutput: to activity.logits, for the wanted rows),
/// with `weights` of the model's shapes: for whoever goes through a model a layer at a time.
/// Preconditions as RunForward; `layer` counts for the middle three.
void RunBlock(kernels::Team& team, const ModelConfig& config, const Weights& weights,
              kernels::Activations activations, const FlatBatch& batch, const KvTarget& kv,
              Activity& activity, Block block, size_t layer, const ProductTap* tap = nullptr);

/// The same pass without all that lies between its matrix products (embedding, rotation, attention,
/// norms of what a layer adds, the cap on logits): what the products alone cost. Each meets an
/// input that is normed and converted as in the pass, in its order and with its barriers between;
/// the inputs are what `activity` holds: x and attention, of which x changes. Called by all
/// workers. `weights`: the model's, or matrices of the same shapes on other data. Of `batch` only
/// the number of tokens and the wanted rows matter. Preconditions: activity has room for the
/// tokens, and logits for the rows.
void RunProducts(const kernels::Worker& worker, const ModelConfig& config, const Weights& weights,
                 kernels::Activations activations, const FlatBatch& batch, Activity& activity);

}  // namespace crossover::engine
