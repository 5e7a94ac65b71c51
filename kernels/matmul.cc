#include "kernels/matmul.h"

#include <cassert>

#include "kernels/isa.h"
#include "kernels/matmul_input.h"
#include "kernels/matmul_kernels.h"
#include "kernels/rows.h"

namespace crossover::kernels {

namespace {

MatMulShare ShareOf(const Worker& worker, const Matrix& w, const MatMulInput& input) {
  const MatMulInput::Rows& rows = input.rows();
  assert(rows.cols == w.cols && w.cols % quant::Info(w.format).block_weights == 0);
  return {.w = &w,
          .row_bytes = quant::Info(w.format).row_bytes(w.cols),
          .rows = worker.Split(w.rows, kRowTile),
          .tokens = rows.tokens,
          .scratch = worker.scratch};
}

}  // namespace

void MatMul(const Worker& worker, const Matrix& w, const MatMulInput& input, float* y,
            size_t y_stride, const MatMulOptions& options) {
  const MatMulInput::Rows& rows = input.rows();
  MatMulShare share = ShareOf(worker, w, input);
  share.y = y;
  share.y_stride = y_stride;
  share.bias = options.bias;
  share.accumulate = options.accumulate;
  if (share.rows.empty()) return;
  const size_t index = FormatIndex(w.format);
  const bool packed = w.layout == Layout::kPacked;
  switch (ResolveForm(rows.activations, w, rows.tokens)) {
    case Form::kF32:
      return packed ? GemmPackedTable()[index](share, rows.x, /*round=*/false)
                    : GemmFloat(share, rows.x, /*round=*/false);
    case Form::kBF16:
      return packed ? GemmPackedTable()[index](share, rows.rounded, /*round=*/true)
                    : GemmFloat(share, rows.rounded, /*round=*/true);
    case Form::kQ8:
      return (packed ? GemvPackedTable() : GemvQ8Table())[index](
          share, rows.q8(quant::Info(w.format).block_weights));
    case Form::kTiles:
      return GemmTilesTable()[index](share, rows.tiles);
  }
}

void MatMulGated(const Worker& worker, Gate f, const Matrix& gate, const Matrix& up,
                 const MatMulInput& input, float* gate_values, float* up_values, MatMulInput& out,
                 const Matrix& down) {
  const MatMulInput::Rows& rows = input.rows();
  const auto form = [&](const Matrix& w) { return ResolveForm(rows.activations, w, rows.tokens); };
  const size_t width = gate.rows;
  const Matrix* const reader = &down;
  if (gate.format == up.format && width % 32 == 0 && form(gate) == Form::kTiles &&
      form(up) == Form::kTiles && form(down) == Form::kTiles) {
    out.rows().Begin(worker, nullptr, rows.tokens, width, {&reader, 1}, rows.activations);
    MatMulShare share = ShareOf(worker, gate, input);
    share.gate = f;
    if (!share.rows.empty()) {
      // Begin's fields are rank 0's to write: only the place of the tiles is known to all.
      GatedTilesTable()[FormatIndex(gate.format)](share, up, rows.tiles, out.rows().TilePlace());
    }
    worker.Sync();
    return;
  }
  MatMul(worker, gate, input, gate_values, width);
  MatMul(worker, up, input, up_values, width);
  // A worker's rows of both are the same, so nobody has to wait.
  const Range own = worker.Split(width, kRowTile);
  for (size_t t = 0; t < rows.tokens; ++t) {
    const size_t first = t * width + own.begin;
    GatedUnit(f, up_values + first, own.size(), gate_values + first);
  }
  worker.Sync();
  out.Assign(worker, gate_values, rows.tokens, width, {&reader, 1}, rows.activations);
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
