#include "kernels/choice.h"

#include "kernels/attention/path.h"
#include "kernels/matmul_input.h"
#include "kernels/matmul_kernels.h"
#include "kernels/packed/pack.h"

namespace crossover::kernels {
namespace {

std::string_view FloatReason(const Matrix& w, Activations activations, size_t tokens) {
  if (activations != Activations::kAuto && activations != Activations::kAutoMany) {
    return "activations as asked for";
  }
  if (activations == Activations::kAuto && tokens <= kMaxGemvTokens) {
    return quant::Info(w.format).quantized ? "no 8-bit kernel for the format"
                                           : "weights that are not quantised keep floats";
  }
  if (!quant::Info(w.format).quantized) {
    return w.cols % 32 != 0 ? "tile units need a multiple of 32 columns"
                            : "no tile unit at this level";
  }
  if (!HasPackedForm(w.format)) return "no packed form of the format, which tile units read";
  if (w.layout != Layout::kPacked) return "tile units read the packed form of quantised weights";
  return "no tile unit at this level";
}

}  // namespace

KernelChoice ChooseMatMul(const Matrix& w, Activations activations, size_t tokens) {
  const bool packed = w.layout == Layout::kPacked;
  switch (ResolveForm(activations, w, tokens)) {
    case Form::kF32:
      return {packed ? "gemm_packed_f32" : "gemm_f32", "f32_fma",
              FloatReason(w, activations, tokens)};
    case Form::kBF16:
      // Operands rounded to bfloat16, multiplied as floats.
      return {packed ? "gemm_packed_bf16" : "gemm_bf16", "f32_fma",
              FloatReason(w, activations, tokens)};
    case Form::kQ8:
      return {packed ? "gemv_packed_q8" : "gemv_q8", "int8_dot",
              activations == Activations::kQ8 ? "activations as asked for"
              : activations == Activations::kAuto && tokens <= kMaxGemvTokens
                  ? "few tokens: weights stream once, bytes decide"
                  : "many tokens, no tile unit: bytes in one instruction beat floats"};
    case Form::kQ8Rows:
      return {"gemm_rows_q8", "int8_dot",
              "many tokens, no packed form: rows taken apart once a panel, then bytes"};
    case Form::kTiles:
      return {"gemm_amx_bf16", "amx_bf16",
              activations == Activations::kBF16
                  ? "activations as asked for"
                  : "many tokens: tile units, weights decoded once a panel"};
  }
  return {};
}

KernelChoice ChooseAttention(size_t tokens, size_t group, bool bf16_tiles) {
  if (!bf16_tiles) return {"attention_f32", "f32_fma", "float32 as asked for"};
  if (TilePath() == nullptr) return {"attention_f32", "f32_fma", "no tile unit at this level"};
  if (tokens * group < kMinTileRows) {
    return {"attention_f32", "f32_fma", "few query rows: tiles would be mostly empty"};
  }
  return {"attention_amx_bf16", "amx_bf16", "rows enough for tile units, K and V decoded once"};
}

}  // namespace crossover::kernels
