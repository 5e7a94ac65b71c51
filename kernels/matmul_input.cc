#include "kernels/matmul_input.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <string>

#include "base/error.h"

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
  rows.code_stride = Chunks(cols) * kChunkWeights;
  rows.scale_stride = Chunks(cols) * (kChunkWeights / block) + kPadding;
  rows.codes = taker.Take<int8_t>(tokens * rows.code_stride);
  rows.scales = taker.Take<float>(tokens * rows.scale_stride);
  if (block == 256) rows.sums16 = TakeSums(taker, tokens, cols, 16);
  if (block == 256 || block == 32) rows.sums32 = TakeSums(taker, tokens, cols, 32);
  if (block == 64 || block == 128) rows.block_sums = TakeSums(taker, tokens, cols, block);
  size = taker.size();
  return rows;
}

MatMulInput::Rows::Bytes Allocate(size_t bytes) {
  auto* p = static_cast<std::byte*>(
      ::operator new[](std::max(bytes, kAlignment), std::align_val_t{kAlignment}, std::nothrow));
  if (p == nullptr) {
    throw Error(ErrorCode::kOutOfMemory, "no memory for " + std::to_string(bytes >> 20) +
                                             " MiB of activations; use a smaller batch");
  }
  return MatMulInput::Rows::Bytes(p);
}

// An A tile: 16 tokens by 32 columns of bfloat16.
constexpr size_t kTileTokens = 16;
constexpr size_t kTileCols = 32;
constexpr size_t kTileBytes = 1024;

/// Tiles that cover the tokens, in pairs.
size_t TokenTiles(size_t tokens) { return (tokens + 2 * kTileTokens - 1) / (2 * kTileTokens) * 2; }

/// This worker's share of the tiles; see Rows::tiles for their order.
void FillTiles(const Worker& worker, const float* x, size_t tokens, size_t cols, uint8_t* tiles) {
  const size_t chunks = cols / kTileCols;
  const Range share = worker.Split(TokenTiles(tokens) * chunks);
  for (size_t i = share.begin; i < share.end; ++i) {
    const size_t pair = i / (2 * chunks);
    const size_t chunk = i % (2 * chunks) / 2;
    const size_t first = (2 * pair + i % 2) * kTileTokens;
    const size_t n = first < tokens ? std::min(kTileTokens, tokens - first) : 0;
    FillTokenTile(x + first * cols, n, cols, chunk, tiles + i * kTileBytes);
  }
}

struct Needs {
  bool rounded = false;
  std::array<bool, kQ8Blocks.size()> q8{};
  bool tiles = false;
};

Needs NeedsOf(std::span<const Matrix* const> readers, Activations activations, size_t tokens) {
  Needs needs;
  for (const Matrix* w : readers) {
    const quant::FormatInfo& info = quant::Info(w->format);
    const Form form = ResolveForm(activations, *w, tokens);
    if (form == Form::kBF16) needs.rounded = true;
    if (form == Form::kTiles) needs.tiles = true;
    if (form == Form::kQ8) needs.q8[Q8Index(info.block_weights)] = true;
  }
  return needs;
}

}  // namespace

Form ResolveForm(Activations activations, const Matrix& w, size_t tokens) {
  const auto q8_kernels = w.layout == Layout::kPacked ? GemvPackedTable() : GemvQ8Table();
  const bool has_q8 = q8_kernels[FormatIndex(w.format)] != nullptr;
  // Below 17 tokens a tile is half empty or worse, and weights are read once anyway.
  const bool tiles = w.layout == Layout::kPacked && tokens > kMaxGemvTokens &&
                     tokens <= kMaxTileTokens && GemmTilesTable()[FormatIndex(w.format)] != nullptr;
  switch (activations) {
    case Activations::kF32:
      return Form::kF32;
    case Activations::kBF16:
      return tiles ? Form::kTiles : Form::kBF16;
    case Activations::kQ8:
      return has_q8 ? Form::kQ8 : Form::kF32;
    case Activations::kAuto:
      break;
  }
  if (has_q8 && tokens <= kMaxGemvTokens) return Form::kQ8;
  return tiles ? Form::kTiles : Form::kF32;
}

void MatMulInput::Rows::FreeBytes::operator()(std::byte* p) const {
  ::operator delete[](p, std::align_val_t{kAlignment});
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

void MatMulInput::Assign(const Worker& worker, const float* x, size_t tokens, size_t cols,
                         std::span<const Matrix* const> readers, Activations activations) {
  Rows& rows = *rows_;
  assert(tokens <= rows.max_tokens && cols <= rows.max_cols);
  const Needs needs = NeedsOf(readers, activations, tokens);
  Q8Rows q8[kQ8Blocks.size()];
  for (size_t i = 0; i < kQ8Blocks.size(); ++i) {
    size_t size = 0;
    if (needs.q8[i]) q8[i] = LayOut(rows.q8_bytes[i].get(), tokens, cols, kQ8Blocks[i], size);
  }
  auto* rounded = reinterpret_cast<float*>(rows.rounded_bytes.get());
  auto* tiles = reinterpret_cast<uint8_t*>(rows.tile_bytes.get());
  if (worker.rank == 0) {
    rows.tokens = tokens;
    rows.cols = cols;
    rows.activations = activations;
    rows.x = x;
    rows.rounded = rounded;
    rows.tiles = tiles;
    std::ranges::copy(q8, rows.q8_rows);
  }

  if (needs.tiles) FillTiles(worker, x, tokens, cols, tiles);
  const size_t chunks = Chunks(cols);
  const Range share = worker.Split(tokens * chunks);
  for (size_t i = share.begin; i < share.end; ++i) {
    const size_t token = i / chunks;
    const size_t chunk = i % chunks;
    const size_t offset = token * cols + chunk * kChunkWeights;
    const size_t n = std::min(kChunkWeights, cols - chunk * kChunkWeights);
    if (needs.rounded) RoundRowToBFloat16(x + offset, n, rounded + offset);
    for (size_t b = 0; b < kQ8Blocks.size(); ++b) {
      if (needs.q8[b]) QuantizeChunk(x + offset, token, chunk, cols, kQ8Blocks[b], q8[b]);
    }
  }
  worker.Sync();
}

}  // namespace crossover::kernels
