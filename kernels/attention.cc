// Layout of the KV pages, and the driver: cuts a batch into items, gives them to the workers, and
// joins what several of them computed of one row. The arithmetic is in attention/.
#include "kernels/attention.h"

#include <algorithm>

#include "kernels/attention/path.h"
#include "kernels/matmul.h"

namespace crossover::kernels {
namespace {

// Items a worker should have at least, so that uneven ones balance: in a prompt, later rows see
// more keys.
constexpr size_t kItemsPerWorker = 4;
constexpr size_t kAlignment = 64;

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// How this batch is cut: the same for all workers.
class Plan {
 public:
  Plan(const AttentionArgs& args, size_t workers)
      : args_(args),
        float_(FloatPath().geometry(*args.layout)),
        tiles_(args.bf16_tiles && args.sinks.empty() ? TilePath() : nullptr) {
    if (tiles_ != nullptr) tile_ = tiles_->geometry(*args.layout);
    size_t rows = 0;
    for (const AttentionSpan& span : args.spans) rows += span.rows * args.heads;
    even_rows_ = rows / (workers * kItemsPerWorker);
  }

  struct Part {
    const Path* path;
    const Geometry* geometry;
    Item item;

    /// Chunks with keys that the item's rows see.
    Range chunks() const {
      return {item.first_key() / geometry->chunk, (item.end_key() - 1) / geometry->chunk + 1};
    }
  };

  /// body(part) for every item, in the order of positions; heads of the same rows side by side.
  template <class Body>
  void ForEach(Body&& body) const {
    const size_t group = args_.heads / args_.layout->kv_heads;
    for (const AttentionSpan& span : args_.spans) {
      const size_t rows = span.rows * group;
      Part part{&FloatPath(), &float_, {&args_, &span, 0, 0, 0}};
      if (tiles_ != nullptr && rows >= args_.min_tile_rows) {
        part.path = tiles_;
        part.geometry = &tile_;
      }
      const Geometry& geometry = *part.geometry;
      const size_t step =
          std::clamp(RoundUp(even_rows_, geometry.row_unit), geometry.min_rows, geometry.max_rows);
      for (size_t first = 0; first < rows; first += step) {
        part.item.first = first;
        part.item.rows = std::min(step, rows - first);
        for (part.item.kv_head = 0; part.item.kv_head < args_.layout->kv_heads;
             ++part.item.kv_head) {
          body(part);
        }
      }
    }
  }

 private:
  const AttentionArgs& args_;
  Geometry float_;
  const Path* tiles_;
  Geometry tile_;
  size_t even_rows_;  // rows of an item that give every worker enough of them
};

/// Work in order of rising cost, dealt there and back.
size_t Owner(size_t index, size_t workers) {
  const size_t place = index % workers;
  return index / workers % 2 == 0 ? place : workers - 1 - place;
}

// Each item by one worker, chunk after chunk.
void AttendWhole(const Worker& worker, const Plan& plan, std::byte* scratch, size_t state_offset,
                 const float* q, float* out) {
  auto* state = reinterpret_cast<float*>(scratch + state_offset);
  size_t index = 0;
  plan.ForEach([&](const Plan::Part& part) {
    if (Owner(index++, worker.size) != worker.rank) return;
    const auto& [path, geometry, item] = part;
    path->prepare(item, q, scratch);
    const Range chunks = part.chunks();
    for (size_t c = chunks.begin; c < chunks.end; ++c) {
      path->attend(item, c, scratch, state, c == chunks.begin);
    }
    path->finish(item, state, out);
  });
}

// Each chunk of an item by one worker, which keeps its state; then each item's chunks are joined in
// order. Chunk number i is its owner's (i / workers)-th.
void AttendSplit(const Worker& worker, const Plan& plan, size_t state_offset, size_t state_bytes,
                 const float* q, float* out) {
  const auto state = [&](size_t index) {
    std::byte* owner = worker.team_scratch[Owner(index, worker.size)];
    return reinterpret_cast<float*>(owner + state_offset + (index / worker.size + 1) * state_bytes);
  };
  size_t index = 0;
  plan.ForEach([&](const Plan::Part& part) {
    const auto& [path, geometry, item] = part;
    const Range chunks = part.chunks();
    bool prepared = false;
    for (size_t c = chunks.begin; c < chunks.end; ++c, ++index) {
      if (Owner(index, worker.size) != worker.rank) continue;
      if (!prepared) path->prepare(item, q, worker.scratch.data());
      prepared = true;
      path->attend(item, c, worker.scratch.data(), state(index), /*fresh=*/true);
    }
  });
  worker.Sync();
  index = 0;
  size_t item_index = 0;
  auto* total = reinterpret_cast<float*>(worker.scratch.data() + state_offset);
  plan.ForEach([&](const Plan::Part& part) {
    const auto& [path, geometry, item] = part;
    const size_t first = index;
    index += part.chunks().size();
    if (Owner(item_index++, worker.size) != worker.rank) return;
    path->clear(item, total);
    for (size_t i = first; i < index; ++i) path->merge(item, state(i), total);
    path->finish(item, total, out);
  });
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

// Items go out whole while every worker gets enough of them. Otherwise (few sequences and KV heads,
// long contexts) their chunks do, as far as the workers' scratch holds the states.
void Attention(const Worker& worker, const AttentionArgs& args, const float* q, float* out) {
  const Plan plan(args, worker.size);
  size_t items = 0, chunks = 0, scratch_bytes = 0, state_bytes = 0;
  plan.ForEach([&](const Plan::Part& part) {
    ++items;
    chunks += part.chunks().size();
    scratch_bytes = std::max(scratch_bytes, part.geometry->scratch_bytes);
    const size_t floats = part.geometry->state_floats(part.item.rows);
    state_bytes = std::max(state_bytes, RoundUp(floats * sizeof(float), kAlignment));
  });
  const size_t states = RoundUp(chunks, worker.size) / worker.size + 1;  // and one to join them
  const bool split = worker.size > 1 && items < worker.size * kItemsPerWorker && chunks > items &&
                     scratch_bytes + states * state_bytes <= worker.scratch.size();
  if (split) {
    AttendSplit(worker, plan, scratch_bytes, state_bytes, q, out);
  } else {
    AttendWhole(worker, plan, worker.scratch.data(), scratch_bytes, q, out);
  }
}

}  // namespace crossover::kernels
