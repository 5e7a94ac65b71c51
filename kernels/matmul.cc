#include "kernels/matmul.h"

#include <cassert>

#include "kernels/isa.h"
#include "kernels/matmul_input.h"
#include "kernels/matmul_kernels.h"

namespace crossover::kernels {

void MatMul(const Worker& worker, const Matrix& w, const MatMulInput& input, float* y,
            size_t y_stride, const MatMulOptions& options) {
  const MatMulInput::Rows& rows = input.rows();
  const quant::FormatInfo& info = quant::Info(w.format);
  assert(rows.cols == w.cols && w.cols % info.block_weights == 0);
  MatMulShare share{.w = &w,
                    .row_bytes = info.row_bytes(w.cols),
                    .rows = worker.Split(w.rows, kRowTile),
                    .tokens = rows.tokens,
                    .y = y,
                    .y_stride = y_stride,
                    .bias = options.bias,
                    .accumulate = options.accumulate,
                    .scratch = worker.scratch};
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
      return (packed ? GemvPackedTable() : GemvQ8Table())[index](share,
                                                                 rows.q8(info.block_weights));
    case Form::kTiles:
      return GemmTilesTable()[index](share, rows.tiles);
  }
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
