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

/// Lays the arrays of `tokens` rows out from `base` on; null just counts the bytes into `size`.
Q8Rows LayOut(std::byte* base, size_t tokens, size_t cols, size_t block, size_t& size) {
  const size_t chunks = Chunks(cols);
  Q8Rows rows;
  rows.code_stride = chunks * kChunkWeights;
  rows.scale_stride = chunks * (kChunkWeights / block) + kPadding;
  rows.sum16_stride = chunks * (kChunkWeights / 16);
  rows.sum32_stride = chunks * (kChunkWeights / 32) + kPadding;
  size = 0;
  auto take = [&](size_t bytes) {
    std::byte* p = base == nullptr ? nullptr : base + size;
    size += RoundUp(bytes);
    return p;
  };
  rows.codes = reinterpret_cast<int8_t*>(take(tokens * rows.code_stride));
  rows.scales = reinterpret_cast<float*>(take(tokens * rows.scale_stride * sizeof(float)));
  rows.sums16 = reinterpret_cast<float*>(take(tokens * rows.sum16_stride * sizeof(float)));
  rows.sums32 = reinterpret_cast<float*>(take(tokens * rows.sum32_stride * sizeof(float)));
  rows.code_sums16 = reinterpret_cast<int32_t*>(take(tokens * rows.sum16_stride * 4));
  rows.code_sums32 = reinterpret_cast<int32_t*>(take(tokens * rows.sum32_stride * 4));
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
  bool q8_32 = false;
  bool q8_256 = false;
  bool tiles = false;
};

Needs NeedsOf(std::span<const Matrix* const> readers, Activations activations, size_t tokens) {
  Needs needs;
  for (const Matrix* w : readers) {
    const quant::FormatInfo& info = quant::Info(w->format);
    const Form form = ResolveForm(activations, *w, tokens);
    if (form == Form::kBF16) needs.rounded = true;
    if (form == Form::kTiles) needs.tiles = true;
    if (form == Form::kQ8) (info.block_weights == 32 ? needs.q8_32 : needs.q8_256) = true;
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
  size_t size = 0;
  LayOut(nullptr, rows.max_tokens, rows.max_cols, 32, size);
  rows.q8_bytes[0] = Allocate(size);
  LayOut(nullptr, rows.max_tokens, rows.max_cols, 256, size);
  rows.q8_bytes[1] = Allocate(size);
  rows.tile_bytes =
      Allocate(TokenTiles(rows.max_tokens) * (rows.max_cols / kTileCols + 1) * kTileBytes);
}

void MatMulInput::Assign(const Worker& worker, const float* x, size_t tokens, size_t cols,
                         std::span<const Matrix* const> readers, Activations activations) {
  Rows& rows = *rows_;
  assert(tokens <= rows.max_tokens && cols <= rows.max_cols);
  const Needs needs = NeedsOf(readers, activations, tokens);
  size_t size = 0;
  const Q8Rows q8_32 = LayOut(rows.q8_bytes[0].get(), tokens, cols, 32, size);
  const Q8Rows q8_256 = LayOut(rows.q8_bytes[1].get(), tokens, cols, 256, size);
  auto* rounded = reinterpret_cast<float*>(rows.rounded_bytes.get());
  auto* tiles = reinterpret_cast<uint8_t*>(rows.tile_bytes.get());
  if (worker.rank == 0) {
    rows.tokens = tokens;
    rows.cols = cols;
    rows.activations = activations;
    rows.x = x;
    rows.rounded = rounded;
    rows.tiles = tiles;
    rows.q8_32 = q8_32;
    rows.q8_256 = q8_256;
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
    if (needs.q8_32) QuantizeChunk(x + offset, token, chunk, cols, 32, q8_32);
    if (needs.q8_256) QuantizeChunk(x + offset, token, chunk, cols, 256, q8_256);
  }
  worker.Sync();
}

}  // namespace crossover::kernels
