// Attention in float32 throughout: the reference, and the way without tile units.
//
// Where all rows of an item read K and V in one pass (decoding), they are decoded in registers;
// else a block is decoded to floats once for all of them.
#include <algorithm>
#include <array>
#include <type_traits>

#include "kernels/attention/carver.h"
#include "kernels/attention/float_block.h"
#include "kernels/attention/path.h"
#include "kernels/matmul_kernels.h"
#include "kernels/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/float_path.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks.
#include "kernels/attention/float_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

struct RowRun {
  size_t row;
  KeyRange keys;
};

template <class Row, size_t kRows>
void ScoreRun(const FloatBlock& block, RowRun run, size_t fetch) {
  ScoreRows<Row, kRows>(block, run.row, run.keys, {block.values, fetch});
}

template <class Row, size_t kRows>
void AccumulateRun(const FloatBlock& block, RowRun run, size_t fetch) {
  AccumulateRows<Row, kRows>(block, run.row, run.keys, {block.next_keys, fetch});
}

// Functions for 1 … kRows rows. Decoded rows have many readers, which pass in tiles of kManyRows.
template <class Row>
struct RunTables {
  static constexpr size_t kRows = std::is_same_v<Row, DecodedRow> ? kManyRows : kMaxRows;
  using Function = void (*)(const FloatBlock& block, RowRun run, size_t fetch);

  template <size_t... n>
  static constexpr std::array<Function, kRows> Scores(std::index_sequence<n...>) {
    return {ScoreRun<Row, n + 1>...};
  }
  template <size_t... n>
  static constexpr std::array<Function, kRows> Sums(std::index_sequence<n...>) {
    return {AccumulateRun<Row, n + 1>...};
  }
  static constexpr auto kScore = Scores(std::make_index_sequence<kRows>());
  static constexpr auto kAccumulate = Sums(std::make_index_sequence<kRows>());
};

// Rows come in the order of their positions: keys that a run's last row cannot see yet are no work
// for the run.
template <class Row>
void ScoreBlock(const FloatBlock& block, const KeyRange* visible) {
  constexpr size_t kRows = RunTables<Row>::kRows;
  for (size_t row = 0; row < block.rows; row += kRows) {
    const size_t n = std::min(kRows, block.rows - row);
    const RowRun run{row, {visible[row].begin, visible[row + n - 1].end}};
    RunTables<Row>::kScore[n - 1](block, run, row == 0 ? block.fetch : 0);
  }
}

// Rows share a pass over V where they see the same keys: what one of them does not see must not
// reach it, not even times 0, for that is NaN where V is.
template <class Row>
void AccumulateBlock(const FloatBlock& block, const KeyRange* visible) {
  for (size_t row = 0; row < block.rows;) {
    const KeyRange keys = visible[row];
    size_t n = 1;
    while (n < RunTables<Row>::kRows && row + n < block.rows &&
           visible[row + n].begin == keys.begin && visible[row + n].end == keys.end) {
      ++n;
    }
    if (keys.begin < keys.end) {
      RunTables<Row>::kAccumulate[n - 1](block, {row, keys}, row == 0 ? block.fetch : 0);
    }
    row += n;
  }
}

void SoftCap(const FloatBlock& block, const KeyRange* visible, float cap) {
  const VectorMath& math = SelectedVectorMath();
  for (size_t row = 0; row < block.rows; ++row) {
    if (visible[row].begin >= visible[row].end) continue;
    float* s = block.scores + row * kKeyBlock + visible[row].begin;
    const size_t n = visible[row].end - visible[row].begin;
    for (size_t j = 0; j < n; ++j) s[j] /= cap;
    math.tanh(n, s);
    for (size_t j = 0; j < n; ++j) s[j] *= cap;
  }
}

template <class Row>
void AttendBlock(const FloatBlock& block, const KeyRange* visible, float soft_cap) {
  ScoreBlock<Row>(block, visible);
  if (soft_cap != 0.0f) SoftCap(block, visible, soft_cap);
  for (size_t row = 0; row < block.rows; ++row) {
    block.correction[row] = SoftmaxRow(block.scores + row * kKeyBlock, visible[row],
                                       block.row_max[row], block.row_sum[row]);
  }
  AccumulateBlock<Row>(block, visible);
}

const BlockFunctions& Blocks() {
  static constexpr BlockFunctions kFunctions{
      AttendBlock<DecodedRow>, kMaxRows,
      MakeFormatTable<AttendBlockFn>([]<class F>() -> AttendBlockFn {
#if HWY_TARGET != HWY_SCALAR  // which has no registers worth the name
        if constexpr (KvFormat<F>) return AttendBlock<StoredRow<F>>;
#endif
        return nullptr;
      })};
  return kFunctions;
}

// o ← o·a + chunk·b of one row.
void MergeRow(const float* chunk, float b, float a, size_t n, float* o) {
  const FloatTag d;
  for (size_t i = 0; i < n; i += kLanes) {
    const FloatVec add = hn::Mul(hn::Load(d, chunk + i), hn::Set(d, b));
    hn::Store(hn::MulAdd(hn::Load(d, o + i), hn::Set(d, a), add), d, o + i);
  }
}

float ExpOne(float x) { return x == 0.0f ? 1.0f : hn::GetLane(ExpVisible(hn::Set(FloatTag(), x))); }

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {

HWY_EXPORT(Blocks);
HWY_EXPORT(MergeRow);
HWY_EXPORT(ExpOne);

constexpr size_t kChunk = 512;
// Rows of floats are padded with zeros to multiples of this: no tails in the inner loops.
constexpr size_t kStrideMultiple = 32;
constexpr size_t kStateRows = 16;

size_t Padded(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }
size_t Stride(const KvLayout& layout) { return Padded(layout.head_dim, kStrideMultiple); }

// Row maxima, row sums, then the rows of o.
template <class T>
struct State {
  State(T* data, size_t rows)
      : max(data), sum(max + Padded(rows, kStateRows)), o(sum + Padded(rows, kStateRows)) {}
  T* max;
  T* sum;
  T* o;
};

struct Scratch {
  Scratch(const KvLayout& layout, std::byte* scratch) {
    const size_t stride = Stride(layout);
    Carver carver(scratch);
    q = carver.Take<float>(kFloatRows * stride);
    k = carver.Take<float>(kKeyBlock * stride);
    v = carver.Take<float>(kKeyBlock * stride);
    scores = carver.Take<float>(kFloatRows * kKeyBlock);
    correction = carver.Take<float>(kFloatRows);
    state = carver.Take<float>(kFloatRows * (stride + 2));
    seen = carver.Take<KeyRange>(kFloatRows);
    bytes = carver.bytes();
  }
  float *q, *k, *v, *scores, *correction, *state;
  KeyRange* seen;  // positions that each row attends to
  size_t bytes;
};

Geometry FloatGeometry(const KvLayout& layout) {
  Geometry geometry;
  geometry.max_rows = kFloatRows;
  geometry.min_rows = kFloatRows / 2;
  geometry.chunk = kChunk;
  geometry.scratch_bytes = Scratch(layout, nullptr).bytes;
  geometry.state_row = Stride(layout) + 2;
  geometry.state_unit = kStateRows;
  return geometry;
}

void Prepare(const Item& item, const float* q, std::byte* scratch) {
  const size_t stride = Stride(item.layout()), head_dim = item.layout().head_dim;
  const Scratch s(item.layout(), scratch);
  for (size_t r = 0; r < item.rows; ++r) {
    const float* source = q + item.offset(r);
    float* row = s.q + r * stride;
    for (size_t i = 0; i < head_dim; ++i) row[i] = item.args->scale * source[i];
    std::fill(row + head_dim, row + stride, 0.0f);
    s.seen[r] = {item.oldest(r), item.position(r) + 1};
  }
}

void Clear(const Item& item, float* data) {
  const State<float> state(data, item.rows);
  std::fill_n(state.max, item.rows, kNoMaximum);
  std::fill_n(state.sum, item.rows, 0.0f);
  std::fill_n(state.o, item.rows * Stride(item.layout()), 0.0f);
}

// Decodes rows [keys.begin, keys.end) to `out`.
void DecodeRows(DecodeRowFn decode, size_t head_dim, KeyRange keys, size_t stride,
                const std::byte* const* rows, float* out) {
  for (size_t j = keys.begin; j < keys.end; ++j) {
    float* row = out + j * stride;
    decode(rows[j], head_dim, row);
    std::fill(row + head_dim, row + stride, 0.0f);
  }
}

// Rows outside of `keys` become the nearest one inside: what the masks hide is at least readable.
void Clamp(KeyRange keys, const std::byte** rows) {
  std::fill(rows, rows + keys.begin, rows[keys.begin]);
  std::fill(rows + keys.end, rows + kKeyBlock, rows[keys.end - 1]);
}

void Merge(const Item& item, const float* chunk_data, float* data) {
  const size_t stride = Stride(item.layout());
  const State<const float> chunk(chunk_data, item.rows);
  const State<float> state(data, item.rows);
  for (size_t r = 0; r < item.rows; ++r) {
    if (chunk.sum[r] == 0.0f) continue;  // saw nothing
    const float max = chunk.max[r] > state.max[r] ? chunk.max[r] : state.max[r];
    const float a = HWY_DYNAMIC_DISPATCH(ExpOne)(state.max[r] - max);
    const float b = HWY_DYNAMIC_DISPATCH(ExpOne)(chunk.max[r] - max);
    state.max[r] = max;
    state.sum[r] = state.sum[r] * a + chunk.sum[r] * b;
    HWY_DYNAMIC_DISPATCH(MergeRow)(chunk.o + r * stride, b, a, stride, state.o + r * stride);
  }
}

void Attend(const Item& item, size_t chunk, std::byte* scratch, float* state, bool fresh) {
  const KvLayout& layout = item.layout();
  const size_t stride = Stride(layout);
  const Scratch s(layout, scratch);
  float* const own = fresh ? state : s.state;
  Clear(item, own);
  const State<float> chunk_state(own, item.rows);
  const std::byte *keys[kKeyBlock], *values[kKeyBlock], *next_keys[kKeyBlock] = {},
                                                        *ignored[kKeyBlock];
  FloatBlock block{.rows = item.rows,
                   .stride = stride,
                   .keys = keys,
                   .values = values,
                   .next_keys = next_keys,
                   .k = s.k,
                   .v = s.v,
                   .q = s.q,
                   .scores = s.scores,
                   .correction = s.correction,
                   .row_max = chunk_state.max,
                   .row_sum = chunk_state.sum,
                   .o = chunk_state.o};
  const auto& functions = HWY_DYNAMIC_DISPATCH(Blocks)();
  const size_t format = FormatIndex(layout.format);
  const AttendBlockFn stored = functions.stored[format];
  const DecodeRowFn decode = DecodeRowTable()[format];
  const bool direct =
      item.rows <= functions.direct_rows && stride == layout.head_dim && stored != nullptr;
  const KeyRows rows(item);
  const size_t first = std::max(item.first_key(), chunk * kChunk);
  const size_t last = std::min(item.end_key(), (chunk + 1) * kChunk);
  for (size_t base = first / kKeyBlock * kKeyBlock; base < last; base += kKeyBlock) {
    const KeyRange seen{first > base ? first - base : 0, std::min(kKeyBlock, last - base)};
    rows.Find(base + seen.begin, seen.end - seen.begin, keys + seen.begin, values + seen.begin);
    if (!direct) {
      DecodeRows(decode, layout.head_dim, seen, stride, keys, s.k);
      DecodeRows(decode, layout.head_dim, seen, stride, values, s.v);
    }
    Clamp(seen, keys);
    Clamp(seen, values);
    KeyRange visible[kFloatRows];
    for (size_t r = 0; r < item.rows; ++r) {
      const size_t from = s.seen[r].begin, to = s.seen[r].end;
      visible[r].begin = from > base ? std::min(from - base, kKeyBlock) : 0;
      visible[r].end = to > base ? std::min(to - base, kKeyBlock) : 0;
    }
    if (direct) {
      const size_t next = base + kKeyBlock;
      if (item.end_key() >= next + kKeyBlock) {
        rows.Find(next, kKeyBlock, next_keys, ignored);
        block.fetch = rows.row_bytes();
      } else {
        block.fetch = 0;
      }
    }
    (direct ? stored : functions.decoded)(block, visible, item.args->soft_cap);
  }
  if (!fresh) Merge(item, s.state, state);
}

// What is left of the row's weights beside its head's sink, over their sum: with l = Σ e^(s - m),
// 1 / l, or e^(m-M) / (l e^(m-M) + e^(sink-M)), M = max(m, sink).
float ShareOfRow(const Item& item, size_t row, float max, float sum) {
  if (item.args->sinks.empty()) return 1.0f / sum;
  const float sink = item.args->sinks[item.head(row)];
  const float top = std::max(max, sink);
  const float kept = HWY_DYNAMIC_DISPATCH(ExpOne)(max - top);
  return kept / (sum * kept + HWY_DYNAMIC_DISPATCH(ExpOne)(sink - top));
}

void Finish(const Item& item, const float* data, float* out) {
  const size_t stride = Stride(item.layout()), head_dim = item.layout().head_dim;
  const State<const float> state(data, item.rows);
  for (size_t r = 0; r < item.rows; ++r) {
    const float* row = state.o + r * stride;
    float* target = out + item.offset(r);
    const float factor = ShareOfRow(item, r, state.max[r], state.sum[r]);
    for (size_t i = 0; i < head_dim; ++i) target[i] = row[i] * factor;
  }
}

}  // namespace

const Path& FloatPath() {
  static constexpr Path kPath{FloatGeometry, Prepare, Clear, Attend, Merge, Finish};
  return kPath;
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE
