#include "kernels/attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/attention_tile.h"
#include "kernels/matmul.h"
#include "kernels/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include "kernels/attention-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

// One block of keys: scores, soft cap, softmax, values. `begin` is the first key that any row sees.
void AttendBlock(const Tile& tile, const KeyRange* visible, size_t begin, float soft_cap,
                 const VectorMath& math) {
  ScoreBlock(tile, begin, visible);
  if (soft_cap != 0.0f) {
    for (size_t row = 0; row < tile.rows; ++row) {
      if (visible[row].begin >= visible[row].end) continue;
      float* s = tile.scores + row * kKeyBlock + visible[row].begin;
      const size_t n = visible[row].end - visible[row].begin;
      for (size_t j = 0; j < n; ++j) s[j] /= soft_cap;
      math.tanh(n, s);
      for (size_t j = 0; j < n; ++j) s[j] *= soft_cap;
    }
  }
  SoftmaxBlock(tile, visible);
  AccumulateBlock(tile, begin, visible);
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {

HWY_EXPORT(AttendBlock);

// A run of query rows of one span and one KV head. Row r is query head kv_head·group + r % group of
// the span's token r / group.
struct Item {
  const AttentionSpan* span;
  size_t kv_head;
  size_t first;  // row; how many follow stands in the tile
};

static_assert((2 * (kRowBlock + kKeyBlock) * kMaxHeadDim + kRowBlock * (kKeyBlock + 3)) *
                  sizeof(float) <=
              Team::kScratchBytes);

Tile CarveScratch(std::span<std::byte> scratch, size_t head_dim) {
  Tile tile;
  tile.stride = (head_dim + kStrideMultiple - 1) / kStrideMultiple * kStrideMultiple;
  float* next = reinterpret_cast<float*>(scratch.data());
  const auto take = [&next](size_t count) {
    float* p = next;
    next += count;
    return p;
  };
  tile.q = take(kRowBlock * tile.stride);
  tile.o = take(kRowBlock * tile.stride);
  tile.k = take(kKeyBlock * tile.stride);
  tile.v = take(kKeyBlock * tile.stride);
  tile.scores = take(kRowBlock * kKeyBlock);
  tile.row_max = take(kRowBlock);
  tile.row_sum = take(kRowBlock);
  tile.correction = take(kRowBlock);
  return tile;
}

// K or V of the block's keys [begin, end) as float32; the other rows up to a whole register of keys
// are zero, so that what the masks hide is at least a number.
void LoadKeys(const KvLayout& layout, size_t row_bytes, const std::byte* pool, size_t offset,
              const uint32_t* block_table, size_t base, size_t begin, size_t end, size_t stride,
              float* out) {
  std::memset(out, 0, begin * stride * sizeof(float));
  for (size_t j = begin; j < end;) {
    const size_t slot = (base + j) % layout.page_tokens;
    const size_t run = std::min(layout.page_tokens - slot, end - j);
    const std::byte* page =
        pool + block_table[(base + j) / layout.page_tokens] * layout.page_bytes();
    const std::byte* rows = page + offset + slot * row_bytes;
    if (stride == layout.head_dim) {
      DecodeRow(layout.format, rows, run * stride, out + j * stride);
    } else {
      for (size_t i = 0; i < run; ++i) {
        float* row = out + (j + i) * stride;
        DecodeRow(layout.format, rows + i * row_bytes, layout.head_dim, row);
        std::fill(row + layout.head_dim, row + stride, 0.0f);
      }
    }
    j += run;
  }
  std::memset(out + end * stride, 0, (kKeyBlock - end) * stride * sizeof(float));
}

void AttendItem(const AttentionArgs& args, const Item& item, const Tile& tile, const float* q,
                float* out) {
  const KvLayout& layout = *args.layout;
  const AttentionSpan& span = *item.span;
  const size_t group = args.heads / layout.kv_heads;
  const size_t head_dim = layout.head_dim;
  const size_t row_bytes = layout.row_bytes();
  const size_t key_offset = layout.key_offset(args.layer, item.kv_head, 0);
  const size_t value_offset = layout.value_offset(args.layer, item.kv_head, 0);
  const auto row_offset = [&](size_t r) {
    const size_t row = item.first + r;
    return ((span.first_row + row / group) * args.heads + item.kv_head * group + row % group) *
           head_dim;
  };
  const auto position = [&](size_t r) { return span.first_position + (item.first + r) / group; };
  const auto oldest = [&](size_t r) {
    const size_t p = position(r);
    return args.window != 0 && p >= args.window ? p + 1 - args.window : 0;
  };

  for (size_t r = 0; r < tile.rows; ++r) {
    const float* source = q + row_offset(r);
    float* row = tile.q + r * tile.stride;
    for (size_t i = 0; i < head_dim; ++i) row[i] = args.scale * source[i];
    std::fill(row + head_dim, row + tile.stride, 0.0f);
    tile.row_max[r] = -std::numeric_limits<float>::infinity();
    tile.row_sum[r] = 0.0f;
  }
  std::memset(tile.o, 0, tile.rows * tile.stride * sizeof(float));

  const VectorMath& math = SelectedVectorMath();
  const size_t first_key = oldest(0);
  const size_t last_key = position(tile.rows - 1);
  for (size_t base = first_key / kKeyBlock * kKeyBlock; base <= last_key; base += kKeyBlock) {
    const size_t begin = first_key > base ? first_key - base : 0;
    const size_t end = std::min(kKeyBlock, last_key + 1 - base);
    LoadKeys(layout, row_bytes, args.pool, key_offset, span.block_table, base, begin, end,
             tile.stride, tile.k);
    LoadKeys(layout, row_bytes, args.pool, value_offset, span.block_table, base, begin, end,
             tile.stride, tile.v);
    KeyRange visible[kRowBlock];
    for (size_t r = 0; r < tile.rows; ++r) {
      const size_t from = oldest(r), to = position(r) + 1;
      visible[r].begin = from > base ? std::min(from - base, kKeyBlock) : 0;
      visible[r].end = to > base ? std::min(to - base, kKeyBlock) : 0;
    }
    HWY_DYNAMIC_DISPATCH(AttendBlock)(tile, visible, begin, args.soft_cap, math);
  }

  for (size_t r = 0; r < tile.rows; ++r) {
    const float* row = tile.o + r * tile.stride;
    float* target = out + row_offset(r);
    const float factor = 1.0f / tile.row_sum[r];
    for (size_t i = 0; i < head_dim; ++i) target[i] = row[i] * factor;
  }
}

}  // namespace

size_t KvLayout::row_bytes() const { return quant::Info(format).row_bytes(head_dim); }

size_t KvLayout::key_offset(size_t layer, size_t head, size_t slot) const {
  return layer * layer_bytes() + (head * page_tokens + slot) * row_bytes();
}

size_t KvLayout::value_offset(size_t layer, size_t head, size_t slot) const {
  return key_offset(layer, kv_heads + head, slot);
}

void StoreKv(const Worker& worker, const AttentionArgs& args, const float* k, const float* v) {
  const KvLayout& layout = *args.layout;
  size_t rows = 0;
  for (const AttentionSpan& span : args.spans) rows += span.rows;
  // Units of a token and a head; those of this worker, span by span.
  const Range mine = worker.Split(rows * layout.kv_heads);
  size_t unit = 0;
  for (const AttentionSpan& span : args.spans) {
    const size_t units = span.rows * layout.kv_heads;
    const size_t begin = std::max(mine.begin, unit), end = std::min(mine.end, unit + units);
    for (size_t u = begin; u < end; ++u) {
      const size_t token = (u - unit) / layout.kv_heads, head = (u - unit) % layout.kv_heads;
      const size_t position = span.first_position + token;
      const size_t slot = position % layout.page_tokens;
      std::byte* page =
          args.pool + span.block_table[position / layout.page_tokens] * layout.page_bytes();
      const size_t source = ((span.first_row + token) * layout.kv_heads + head) * layout.head_dim;
      EncodeRow(layout.format, k + source, layout.head_dim,
                page + layout.key_offset(args.layer, head, slot));
      EncodeRow(layout.format, v + source, layout.head_dim,
                page + layout.value_offset(args.layer, head, slot));
    }
    unit += units;
  }
}

// Items are dealt out in turn, heads of one run of tokens next to each other: later tokens see more
// keys, so contiguous shares would be uneven. A batch of one decoded token has kv_heads items only,
// so with fewer KV heads than workers some idle; splitting the keys as well would need a second
// pass that merges (m, l, o), whose sums then depend on the split.
void Attention(const Worker& worker, const AttentionArgs& args, const float* q, float* out) {
  const KvLayout& layout = *args.layout;
  Tile tile = CarveScratch(worker.scratch, layout.head_dim);
  const size_t group = args.heads / layout.kv_heads;
  size_t item_index = 0;
  for (const AttentionSpan& span : args.spans) {
    const size_t rows = span.rows * group;
    for (size_t first = 0; first < rows; first += kRowBlock) {
      for (size_t head = 0; head < layout.kv_heads; ++head, ++item_index) {
        if (item_index % worker.size != worker.rank) continue;
        const Item item{&span, head, first};
        tile.rows = std::min(kRowBlock, rows - first);
        AttendItem(args, item, tile, q, out);
      }
    }
  }
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE
