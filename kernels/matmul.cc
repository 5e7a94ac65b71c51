#include "kernels/matmul.h"

#include <algorithm>
#include <cassert>

#include "kernels/gemm_rows.h"
#include "kernels/isa.h"
#include "kernels/matmul_input.h"
#include "kernels/matmul_kernels.h"
#include "kernels/rows.h"

namespace crossover::kernels {

namespace {

// What a piece of work reads at least, some two microseconds of memory: the barrier behind a
// product waits for the last piece.
constexpr size_t kLeastPieceBytes = size_t{32} << 10;

// Prompts in bytes: rows that are unpacked together, and what a piece has of them at least, as it
// begins with work on the activations.
constexpr size_t kPanelRows = 2 * kRowTile;
constexpr size_t kLeastPanels = 2;

// Prompts on tiles: rows of a pair of row groups, and pairs of a block (gemm_amx.cc), which share
// the way of the tokens' tiles to the caches. Pieces are whole blocks.
constexpr size_t kTilePairRows = 2 * kRowTile;
constexpr size_t kTileBlockPairs = 8;

/// All of a product but its rows.
MatMulShare ShareOf(const Worker& worker, const Matrix& w, const MatMulInput& input) {
  const MatMulInput::Rows& rows = input.rows();
  // Shapes are checked where a model is bound (tensor_binder.cc), and that rows are whole blocks
  // where a file is read (gguf_reader.cc).
  assert(rows.cols == w.cols && w.cols % quant::Info(w.format).block_weights == 0);
  return {.w = &w,
          .row_bytes = quant::Info(w.format).row_bytes(w.cols),
          .rows = {},
          .tokens = rows.tokens,
          .scratch = worker.scratch};
}

void Multiply(const MatMulShare& share, const MatMulInput::Rows& x, Form form) {
  const size_t index = FormatIndex(share.w->format);
  const bool packed = share.w->layout == Layout::kPacked;
  switch (form) {
    case Form::kF32:
      return packed ? GemmPackedTable()[index](share, x.x, /*round=*/false)
                    : GemmFloat(share, x.x, /*round=*/false);
    case Form::kBF16:
      return packed ? GemmPackedTable()[index](share, x.rounded, /*round=*/true)
                    : GemmFloat(share, x.rounded, /*round=*/true);
    case Form::kQ8:
      return (packed ? GemvPackedTable() : GemvQ8Table())[index](
          share, x.q8(quant::Info(share.w->format).block_weights));
    case Form::kQ8Rows:
      return GemmRowsTable()[index](share, x.q8(quant::Info(share.w->format).block_weights));
    case Form::kTiles:
      return GemmTilesTable()[index](share, x.tiles);
  }
}

}  // namespace

size_t LeastRowTiles(const Matrix& w) {
  const size_t tile_bytes = kRowTile * quant::Info(w.format).row_bytes(w.cols);
  return std::max<size_t>(1, kLeastPieceBytes / std::max<size_t>(1, tile_bytes));
}

void MatMul(const Worker& worker, const Matrix& w, const MatMulInput& input, float* y,
            size_t y_stride, const MatMulOptions& options) {
  const MatMulInput::Rows& x = input.rows();
  MatMulShare share = ShareOf(worker, w, input);
  share.y = y;
  share.y_stride = y_stride;
  share.bias = options.bias;
  share.accumulate = options.accumulate;
  const Form form = ResolveForm(x.activations, w, x.tokens);
  const auto multiply = [&](Range rows) {
    share.rows = rows;
    Multiply(share, x, form);
  };
  // Pieces cost a product that streams its weights nothing; those that decode panels want whole
  // ones.
  if (form == Form::kQ8Rows || (form == Form::kQ8 && x.tokens > kMaxGemvTokens)) {
    return worker.Share(w.rows, kPanelRows, kLeastPanels, multiply);
  }
  if (form == Form::kQ8) return ShareRows(worker, w, multiply);
  if (form == Form::kTiles) {
    return worker.Share(w.rows, kTilePairRows, kTileBlockPairs, multiply);
  }
  if (const Range own = worker.Split(w.rows, kRowTile); !own.empty()) multiply(own);
}

void MatMulEach(const Worker& worker, std::span<const Projection> products,
                const MatMulInput& input) {
  const MatMulInput::Rows& x = input.rows();
  const auto takes_tiles = [&](const Projection& p) {
    return ResolveForm(x.activations, *p.w, x.tokens) == Form::kTiles;
  };
  if (!std::all_of(products.begin(), products.end(), takes_tiles)) {
    for (const Projection& p : products) {
      MatMul(worker, *p.w, input, p.y, p.w->rows, {.bias = p.bias});
    }
    return;
  }
  // As if they were one matrix: the blocks of a small one alone would not be whole.
  const auto pairs = [](const Projection& p) {
    return (p.w->rows + kTilePairRows - 1) / kTilePairRows;
  };
  size_t all = 0;
  for (const Projection& p : products) all += pairs(p);
  worker.Share(all, 1, kTileBlockPairs, [&](Range piece) {
    size_t first = 0;
    for (const Projection& p : products) {
      const size_t begin = std::max(piece.begin, first),
                   end = std::min(piece.end, first + pairs(p));
      if (begin < end) {
        MatMulShare share = ShareOf(worker, *p.w, input);
        share.y = p.y;
        share.y_stride = p.w->rows;
        share.bias = p.bias;
        share.rows = {(begin - first) * kTilePairRows,
                      std::min(p.w->rows, (end - first) * kTilePairRows)};
        Multiply(share, x, Form::kTiles);
      }
      first += pairs(p);
    }
  });
}

void MatMulGated(const Worker& worker, Gate f, const Matrix& gate, const Matrix& up,
                 const MatMulInput& input, float* gate_values, float* up_values, MatMulInput& out,
                 const Matrix& down) {
  const MatMulInput::Rows& x = input.rows();
  const auto form = [&](const Matrix& w) { return ResolveForm(x.activations, w, x.tokens); };
  const size_t width = gate.rows;
  const Matrix* const reader = &down;
  if (gate.format == up.format && width % 32 == 0 && form(gate) == Form::kTiles &&
      form(up) == Form::kTiles && form(down) == Form::kTiles) {
    out.rows().Begin(worker, nullptr, x.tokens, width, {&reader, 1}, x.activations);
    MatMulShare share = ShareOf(worker, gate, input);
    share.gate = f;
    // Two row groups of W_gate write the halves of one tile; a block has eight, and as many of
    // W_up.
    worker.Share(width, kTilePairRows, kTileBlockPairs / 2, [&](Range rows) {
      share.rows = rows;
      // Begin's fields are rank 0's to write: only the place of the tiles is known to all.
      GatedTilesTable()[FormatIndex(gate.format)](share, up, x.tiles, out.rows().TilePlace());
    });
    worker.Sync();
    return;
  }
  // One matrix after the other: a stream of weights that is interrupted starts slowly again.
  MatMul(worker, gate, input, gate_values, width);
  MatMul(worker, up, input, up_values, width);
  worker.Sync();
  out.AssignGated(worker, f, gate_values, up_values, x.tokens, width, {&reader, 1}, x.activations);
}

std::vector<KernelName> MatMulKernels() {
  std::vector<KernelName> kernels;
  const std::string_view isa = ExecutedIsa();
  const auto add = [&](std::string_view operation, const quant::FormatInfo& info) {
    kernels.push_back({std::string(operation) + "/" + std::string(info.name), isa});
  };
  for (const quant::FormatInfo& info : quant::Formats()) {
    const size_t index = FormatIndex(info.format);
    if (GemvQ8Table()[index] != nullptr) add("gemv_q8", info);
    if (GemmRowsTable()[index] != nullptr) add("gemm_rows_q8", info);
    add("gemm_f32", info);
    add("gemm_bf16", info);
    add("decode_row", info);
    if (EncodeRowTable()[index] != nullptr) add("encode_row", info);
    if (GemvPackedTable()[index] != nullptr) add("gemv_packed_q8", info);
    if (GemmPackedTable()[index] != nullptr) add("gemm_packed", info);
    if (GemmTilesTable()[index] != nullptr) add("gemm_amx_bf16", info);
  }
  return kernels;
}

}  // namespace crossover::kernels
