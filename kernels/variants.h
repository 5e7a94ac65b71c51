// What there is of each operation, in one list for its tests and its benchmarks: a variant that is
// in a list is tested and measured.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/matmul.h"

namespace crossover::kernels {

// ---- Matrix products: format × layout × form of activations

struct NamedActivations {
  Activations form;
  std::string_view name;
};
inline constexpr std::array<NamedActivations, 4> kActivationForms{{{Activations::kAuto, "auto"},
                                                                   {Activations::kF32, "f32"},
                                                                   {Activations::kBF16, "bf16"},
                                                                   {Activations::kQ8, "q8"}}};

/// As flags and tables call it: "mapped", "packed".
std::string_view LayoutName(Layout layout);

/// The layouts that matrices of a format can have, the file's first.
std::vector<Layout> LayoutsOf(quant::Format format);

// ---- Attention: KV format × head size

/// The formats that K and V can be stored in.
std::vector<quant::Format> KvFormats();

/// Head sizes of the supported model families.
inline constexpr std::array<size_t, 5> kHeadDims{64, 80, 96, 128, 256};

// ---- Steps on rows

/// What a step works on; each takes what it needs.
struct RowOperands {
  size_t n = 0;              // a multiple of kRowHeadDim
  const float* x = nullptr;  // [n]
  const float* w = nullptr;  // [n]
  float* out = nullptr;      // [n]; steps that work in place read it too
};
inline constexpr size_t kRowHeadDim = 64;

struct RowOperation {
  std::string_view name;
  size_t floats_moved;  // read and written, per element
  void (*run)(const RowOperands& operands);
};

std::span<const RowOperation> RowOperations();

/// Values that every step can be given again and again without running off to zero, to infinity or
/// to denormals: x in (-1.5, -0.1), and w = 1 + e^-x, so that silu(x)·w = x.
void FillRowOperands(std::span<float> x, std::span<float> w);

}  // namespace crossover::kernels
