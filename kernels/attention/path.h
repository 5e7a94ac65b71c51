// How attention is cut into work, shared by the driver (attention.cc) and the two ways to compute
// it: in float32 (float_path.cc) and on bf16 tiles (tile_path.cc). Internal to kernels/.
//
// An item is a run of query rows of one sequence and one KV head; positions are cut into chunks,
// which start at multiples of a length that the head size alone determines. A row's state is
//   m = max s_j,  l = Σ e^(s_j - m),  o = Σ e^(s_j - m) v_j      over the chunks it has met,
// and a chunk's (m', l', o') joins it by (Milakov and Gimelshein 2018)
//   M = max(m, m'),  l ← l e^(m-M) + l' e^(m'-M),  o ← o e^(m-M) + o' e^(m'-M).
// A row meets its chunks in ascending order, always in this way: who computed a chunk, and whether
// it was kept in between, changes no bit.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/attention.h"

namespace crossover::kernels {

/// Row r is query head kv_head·group + n % group of the span's token n / group, n = first + r.
struct Item {
  const AttentionArgs* args = nullptr;
  const AttentionSpan* span = nullptr;
  size_t kv_head = 0;
  size_t first = 0;
  size_t rows = 0;

  const KvLayout& layout() const { return *args->layout; }
  size_t group() const { return args->heads / layout().kv_heads; }
  size_t position(size_t r) const { return span->first_position + (first + r) / group(); }
  /// Query head of row r.
  size_t head(size_t r) const { return kv_head * group() + (first + r) % group(); }
  /// First position that row r attends to.
  size_t oldest(size_t r) const {
    const size_t p = position(r);
    return args->window != 0 && p >= args->window ? p + 1 - args->window : 0;
  }
  /// Where row r lies in q and in the result.
  size_t offset(size_t r) const {
    const size_t n = first + r;
    return ((span->first_row + n / group()) * args->heads + kv_head * group() + n % group()) *
           layout().head_dim;
  }
  size_t first_key() const { return oldest(0); }
  size_t end_key() const { return position(rows - 1) + 1; }
};

/// An item's rows one after the other: divisions would cost more than what is done with the result.
class RowWalk {
 public:
  explicit RowWalk(const Item& item)
      : item_(item),
        group_(item.group()),
        left_(item.rows),
        token_(item.first / group_),
        n_(item.first % group_) {}

  size_t position() const { return item_.span->first_position + token_; }
  size_t oldest() const {
    const size_t p = position(), window = item_.args->window;
    return window != 0 && p >= window ? p + 1 - window : 0;
  }
  size_t offset() const {
    return ((item_.span->first_row + token_) * item_.args->heads + item_.kv_head * group_ + n_) *
           item_.layout().head_dim;
  }
  /// Stays at the last row.
  void Next() {
    if (left_ <= 1) return;
    --left_;
    if (++n_ < group_) return;
    n_ = 0;
    ++token_;
  }

 private:
  const Item& item_;
  const size_t group_;
  size_t left_, token_, n_;
};

/// Where K and V of an item's head lie, position by position.
class KeyRows {
 public:
  explicit KeyRows(const Item& item)
      : pool_(item.args->pool),
        block_table_(item.span->block_table),
        page_tokens_(item.layout().page_tokens),
        row_bytes_(item.layout().row_bytes()) {
    const size_t head_bytes = page_tokens_ * row_bytes_;
    const size_t heads = 2 * item.layout().kv_heads;  // of K, then of V
    page_bytes_ = item.layout().layers * heads * head_bytes;
    keys_ = (item.args->layer * heads + item.kv_head) * head_bytes;
    values_ = keys_ + item.layout().kv_heads * head_bytes;
  }

  size_t row_bytes() const { return row_bytes_; }
  /// keys[i], values[i]: the rows of position first + i.
  void Find(size_t first, size_t count, const std::byte** keys, const std::byte** values) const {
    size_t page = first / page_tokens_, slot = first % page_tokens_;
    for (size_t i = 0; i < count; ++page, slot = 0) {
      const std::byte* start = pool_ + block_table_[page] * page_bytes_;
      for (; slot < page_tokens_ && i < count; ++slot, ++i) {
        keys[i] = start + keys_ + slot * row_bytes_;
        values[i] = start + values_ + slot * row_bytes_;
      }
    }
  }

 private:
  const std::byte* pool_;
  const uint32_t* block_table_;
  size_t page_tokens_, row_bytes_, page_bytes_, keys_, values_;
};

/// How a path cuts its work for one head size.
struct Geometry {
  size_t max_rows = 0;       // of an item
  size_t min_rows = 1;       // of an item, where there are as many
  size_t row_unit = 1;       // items begin at multiples of this
  size_t chunk = 0;          // positions
  size_t scratch_bytes = 0;  // an item's buffers, a multiple of 64
  size_t state_row = 0;      // floats of a row's state
  size_t state_unit = 1;     // rows of a state are a multiple of this

  size_t state_floats(size_t rows) const {
    return (rows + state_unit - 1) / state_unit * state_unit * state_row;
  }
};

/// One way to compute attention. `scratch` is one item's, from prepare on; states are 64-byte
/// aligned.
struct Path {
  Geometry (*geometry)(const KvLayout& layout);
  /// Takes the queries in.
  void (*prepare)(const Item& item, const float* q, std::byte* scratch);
  /// The state before the first chunk.
  void (*clear)(const Item& item, float* state);
  /// Joins positions [chunk · length, (chunk + 1) · length), as far as rows see them, to the state;
  /// where that is `fresh`, what lies there counts as cleared, and need not be.
  void (*attend)(const Item& item, size_t chunk, std::byte* scratch, float* state, bool fresh);
  /// Joins the state of one chunk to that of the chunks before it.
  void (*merge)(const Item& item, const float* chunk_state, float* state);
  /// out = o / l.
  void (*finish)(const Item& item, const float* state, float* out);
};

const Path& FloatPath();
/// Null where this CPU or the selected level lacks the units.
const Path* TilePath();

}  // namespace crossover::kernels
