#include "kernels/matmul_input.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "base/error.h"
#include "kernels/gemm_rows.h"
#include "kernels/rows.h"

namespace crossover::kernels {
namespace {

constexpr size_t kAlignment = 64;
// A vector of 16 floats may reach behind the 8 scales of a row's last chunk.
constexpr size_t kPadding = 8;

size_t Chunks(size_t cols) { return (cols + kChunkWeights - 1) / kChunkWeights; }

size_t RoundUp(size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

/// Takes arrays from a piece of memory; from null on, it just counts their bytes.
class Taker {
 public:
  explicit Taker(std::byte* base) : base_(base) {}
  template <class T>
  T* Take(size_t count) {
    std::byte* p = base_ == nullptr ? nullptr : base_ + size_;
    size_ += RoundUp(count * sizeof(T));
    return reinterpret_cast<T*>(p);
  }
  size_t size() const { return size_; }

 private:
  std::byte* base_;
  size_t size_ = 0;
};

GroupSums TakeSums(Taker& taker, size_t tokens, size_t cols, size_t group) {
  GroupSums sums;
  sums.stride = Chunks(cols) * (kChunkWeights / group) + kPadding;
  sums.scaled = taker.Take<float>(tokens * sums.stride);
  sums.negative = taker.Take<int32_t>(tokens * sums.stride);
  sums.high = taker.Take<int8_t>(tokens * sums.stride);
  sums.low = taker.Take<int8_t>(tokens * sums.stride);
  return sums;
}

/// Lays the arrays of `tokens` rows out from `base` on; null just counts the bytes into `size`.
Q8Rows LayOut(std::byte* base, size_t tokens, size_t cols, size_t block, size_t& size) {
  Taker taker(base);
  Q8Rows rows;
  // One line more than the chunks: rows that follow each other lie in other sets of the caches.
  rows.code_stride = Chunks(cols) * kChunkWeights + kAlignment;
  rows.scale_stride = Chunks(cols) * (kChunkWeights / block) + kPadding;
  rows.codes = taker.Take<int8_t>(tokens * rows.code_stride);
  rows.scales = taker.Take<float>(tokens * rows.scale_stride);
  if (block == 256) rows.sums16 = TakeSums(taker, tokens, cols, 16);
  if (block == 256 || block == 32) rows.sums32 = TakeSums(taker, tokens, cols, 32);
  if (block == 64 || block == 128) rows.block_sums = TakeSums(taker, tokens, cols, block);
  size = taker.size();
  return rows;
}

Bytes Allocate(size_t bytes) {
  Bytes p = AllocateBytes(bytes);
  if (p == nullptr) {
    throw Error(ErrorCode::kOutOfMemory, "no memory for " + std::to_string(bytes >> 20) +
                                             " MiB of activations; use a smaller batch");
  }
  return p;
}

// An A tile: 16 tokens by 32 columns of bfloat16.
constexpr size_t kTileTokens = 16;
constexpr size_t kTileCols = 32;
constexpr size_t kTileBytes = 1024;

/// Tiles that cover the tokens, in pairs.
size_t TokenTiles(size_t tokens) { return (tokens + 2 * kTileTokens - 1) / (2 * kTileTokens) * 2; }

/// The A tiles of one pair of 16 tokens; see Rows::tiles for their order.
void FillTilePair(const float* x, size_t tokens, size_t cols, uint8_t* tiles) {
  const size_t chunks = cols / kTileCols;
  for (size_t i = 0; i < 2 * chunks; ++i) {
    const size_t first = i % 2 * kTileTokens;
    const size_t n = first < tokens ? std::min(kTileTokens, tokens - first) : 0;
    FillTokenTile(x + first * cols, n, cols, i / 2, tiles + i * kTileBytes);
  }
}

/// Writes one chunk of one token in the forms that are wanted; tiles are written by pairs.
void ConvertChunk(const MatMulInput::Rows::Plan& plan, const float* row, size_t token, size_t chunk,
                  size_t cols, float* rounded) {
  const float* x = row + chunk * kChunkWeights;
  const size_t n = std::min(kChunkWeights, cols - chunk * kChunkWeights);
  if (plan.rounded) RoundRowToBFloat16(x, n, rounded + token * cols + chunk * kChunkWeights);
  for (size_t b = 0; b < kQ8Blocks.size(); ++b) {
    if (plan.q8[b]) QuantizeChunk(x, token, chunk, cols, kQ8Blocks[b], plan.q8_rows[b]);
  }
}

}  // namespace

Form ResolveForm(Activations activations, const Matrix& w, size_t tokens) {
  const bool packed = w.layout == Layout::kPacked;
  const bool has_q8 =
      (packed ? GemvPackedTable() : GemvQ8Table())[FormatIndex(w.format)] != nullptr;
  // Tile units read the packed form, and rows of floats as they lie in the file.
  const bool tiles = (packed || (!quant::Info(w.format).quantized && w.cols % kTileCols == 0)) &&
                     GemmTilesTable()[FormatIndex(w.format)] != nullptr;
  switch (activations) {
    case Activations::kF32:
      return Form::kF32;
    case Activations::kBF16:
      return tiles ? Form::kTiles : Form::kBF16;
    case Activations::kQ8:
      return has_q8 ? Form::kQ8 : Form::kF32;
    case Activations::kAuto:
      // Below 17 tokens a tile is half empty or worse, and weights are read once anyway.
      if (has_q8 && tokens <= kMaxGemvTokens) return Form::kQ8;
      if (tokens <= kMaxGemvTokens) return Form::kF32;
      [[fallthrough]];
    case Activations::kAutoMany:
      break;
  }
  if (tiles) return Form::kTiles;
  if (!packed && GemmRowsTable()[FormatIndex(w.format)] != nullptr) return Form::kQ8Rows;
  return has_q8 && packed && HasFastByteProducts() ? Form::kQ8 : Form::kF32;
}

MatMulInput::MatMulInput() : rows_(std::make_unique<Rows>()) {}
MatMulInput::~MatMulInput() = default;
MatMulInput::MatMulInput(MatMulInput&&) noexcept = default;
MatMulInput& MatMulInput::operator=(MatMulInput&&) noexcept = default;

void MatMulInput::Reserve(size_t max_tokens, size_t max_cols) {
  Rows& rows = *rows_;
  if (max_tokens <= rows.max_tokens && max_cols <= rows.max_cols) return;
  rows.max_tokens = std::max(max_tokens, rows.max_tokens);
  rows.max_cols = std::max(max_cols, rows.max_cols);
  rows.rounded_bytes = Allocate(rows.max_tokens * rows.max_cols * sizeof(float));
  for (size_t i = 0; i < kQ8Blocks.size(); ++i) {
    size_t size = 0;
    LayOut(nullptr, rows.max_tokens, rows.max_cols, kQ8Blocks[i], size);
    rows.q8_bytes[i] = Allocate(size);
  }
  rows.tile_bytes =
      Allocate(TokenTiles(rows.max_tokens) * (rows.max_cols / kTileCols + 1) * kTileBytes);
}

MatMulInput::Rows::Plan MatMulInput::Rows::Begin(const Worker& worker, const float* values,
                                                 size_t token_count, size_t col_count,
                                                 std::span<const Matrix* const> readers,
                                                 Activations form) {
  // The engine reserves for its largest batch, to which it holds every call (engine.cc), and for
  // the model's widths, whose matrices have these shapes or are refused (tensor_binder.cc).
  assert(token_count <= max_tokens && col_count <= max_cols);
  Plan plan;
  for (const Matrix* w : readers) {
    const size_t block = quant::Info(w->format).block_weights;
    switch (ResolveForm(form, *w, token_count)) {
      case Form::kF32:
        plan.floats = true;
        break;
      case Form::kBF16:
        plan.rounded = true;
        break;
      case Form::kTiles:
        plan.tiles = true;
        break;
      case Form::kQ8:
      case Form::kQ8Rows:
        plan.q8[Q8Index(block)] = true;
        break;
    }
  }
  for (size_t i = 0; i < kQ8Blocks.size(); ++i) {
    size_t size = 0;
    if (!plan.q8[i]) continue;
    plan.q8_rows[i] = LayOut(q8_bytes[i].get(), token_count, col_count, kQ8Blocks[i], size);
  }
  if (worker.rank == 0) {
    tokens = token_count;
    cols = col_count;
    activations = form;
    x = values;
    rounded = reinterpret_cast<float*>(rounded_bytes.get());
    tiles = TilePlace();
    std::ranges::copy(plan.q8_rows, q8_rows);
  }
  return plan;
}

namespace {

void FillTiles(const Worker& worker, const float* x, size_t tokens, size_t cols, uint8_t* tiles) {
  const Range pairs = worker.Split(TokenTiles(tokens) / 2);
  for (size_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const size_t first = pair * 2 * kTileTokens;
    FillTilePair(x + first * cols, tokens - first, cols, tiles + first * cols * 2);
  }
}

}  // namespace

void MatMulInput::Assign(const Worker& worker, const float* x, size_t tokens, size_t cols,
                         std::span<const Matrix* const> readers, Activations activations) {
  const Rows::Plan plan = rows_->Begin(worker, x, tokens, cols, readers, activations);
  auto* rounded = reinterpret_cast<float*>(rows_->rounded_bytes.get());
  if (plan.tiles) FillTiles(worker, x, tokens, cols, rows_->TilePlace());
  const size_t chunks = Chunks(cols);
  const Range share = worker.Split(tokens * chunks);
  for (size_t i = share.begin; i < share.end; ++i) {
    ConvertChunk(plan, x + i / chunks * cols, i / chunks, i % chunks, cols, rounded);
  }
  worker.Sync();
}

void MatMulInput::AssignGated(const Worker& worker, Gate f, float* gate, const float* up,
                              size_t tokens, size_t cols, std::span<const Matrix* const> readers,
                              Activations activations) {
  const Rows::Plan plan = rows_->Begin(worker, gate, tokens, cols, readers, activations);
  auto* rounded = reinterpret_cast<float*>(rows_->rounded_bytes.get());
  const size_t chunks = Chunks(cols);
  const Range share = worker.Split(tokens * chunks);
  for (size_t i = share.begin; i < share.end; ++i) {
    const size_t chunk = i % chunks;
    const size_t first = i / chunks * cols + chunk * kChunkWeights;
    GatedUnit(f, up + first, std::min(kChunkWeights, cols - chunk * kChunkWeights), gate + first);
    ConvertChunk(plan, gate + i / chunks * cols, i / chunks, chunk, cols, rounded);
  }
  worker.Sync();
  if (!plan.tiles) return;
  FillTiles(worker, gate, tokens, cols, rows_->TilePlace());
  worker.Sync();
}

namespace {

/// The tiles of norm(x), a pair at a time: floats of a pair stay in the cache.
void NormTiles(const Worker& worker, const float* x, const Norm& norm, float* normed, size_t tokens,
               size_t cols, uint8_t* tiles) {
  const bool fits = 2 * kTileTokens * cols * sizeof(float) <= worker.scratch.size();
  const Range pairs = worker.Split(TokenTiles(tokens) / 2);
  for (size_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const size_t first = pair * 2 * kTileTokens;
    const size_t end = std::min(tokens, first + 2 * kTileTokens);
    float* rows = fits ? reinterpret_cast<float*>(worker.scratch.data()) : normed + first * cols;
    for (size_t t = first; t < end; ++t) {
      Normalize(norm, x + t * cols, cols, rows + (t - first) * cols);
    }
    FillTilePair(rows, end - first, cols, tiles + first * cols * 2);
  }
}

}  // namespace

void MatMulInput::AssignNormed(const Worker& worker, const float* x, const Norm& norm,
                               float* normed, size_t tokens, size_t cols,
                               std::span<const Matrix* const> readers, Activations activations) {
  const Rows::Plan plan = rows_->Begin(worker, normed, tokens, cols, readers, activations);
  auto* rounded = reinterpret_cast<float*>(rows_->rounded_bytes.get());
  if (plan.tiles) NormTiles(worker, x, norm, normed, tokens, cols, rows_->TilePlace());
  // A token's norm is computed by every worker that has a chunk of it: cheaper than to wait.
  const bool chunked = plan.floats || plan.rounded || plan.q8 != decltype(plan.q8){};
  const size_t chunks = Chunks(cols);
  const Range share = chunked ? worker.Split(tokens * chunks) : Range{};
  auto* row = reinterpret_cast<float*>(worker.scratch.data());
  // A model with wider rows is refused when it is read (kMaxModelWidth).
  assert(cols * sizeof(float) <= worker.scratch.size());
  for (size_t i = share.begin; i < share.end; ++i) {
    const size_t token = i / chunks;
    const size_t chunk = i % chunks;
    if (i == share.begin || chunk == 0) Normalize(norm, x + token * cols, cols, row);
    ConvertChunk(plan, row, token, chunk, cols, rounded);
    if (plan.floats) {
      const size_t first = chunk * kChunkWeights;
      std::copy(row + first, row + std::min(cols, first + kChunkWeights),
                normed + token * cols + first);
    }
  }
  worker.Sync();
}

}  // namespace crossover::kernels
