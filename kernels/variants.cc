#include "kernels/variants.h"

#include <cmath>

#include "kernels/matmul_kernels.h"
#include "kernels/packed/pack.h"
#include "kernels/rows.h"

namespace crossover::kernels {
namespace {

constexpr size_t kPosition = 1000;
constexpr float kRopeBase = 1e6f;

template <RopeStyle kStyle>
void RunRope(const RowOperands& o) {
  static const auto table = [] {
    std::array<float, kRowHeadDim> t;
    RopeTable(kPosition, kRowHeadDim, kRopeBase, nullptr, 1.0f, t.data());
    return t;
  }();
  Rope(o.out, o.n / kRowHeadDim, kRowHeadDim, kRowHeadDim, kStyle, table.data());
}

constexpr auto kRowOperations = std::to_array<RowOperation>({
    {"rms_norm", 3, [](const RowOperands& o) { RmsNorm(o.x, o.w, o.n, 1e-5f, o.out); }},
    {"add", 3, [](const RowOperands& o) { Add(o.x, o.n, o.out); }},
    {"scale", 2, [](const RowOperands& o) { Scale(-1.0f, o.n, o.out); }},
    {"soft_cap", 2, [](const RowOperands& o) { SoftCap(30.0f, o.n, o.out); }},
    {"swiglu", 3, [](const RowOperands& o) { GatedUnit(Gate::kSilu, o.w, o.n, o.out); }},
    {"geglu", 3, [](const RowOperands& o) { GatedUnit(Gate::kGelu, o.w, o.n, o.out); }},
    {"softmax", 2, [](const RowOperands& o) { Softmax(o.n, o.out); }},
    {"rope_interleaved", 2, RunRope<RopeStyle::kInterleaved>},
    {"rope_neox", 2, RunRope<RopeStyle::kNeox>},
    {"rope_table", 1,
     [](const RowOperands& o) {
       for (size_t i = 0; i < o.n; i += kRowHeadDim) {
         RopeTable(kPosition + i, kRowHeadDim, kRopeBase, nullptr, 1.0f, o.out + i);
       }
     }},
});

}  // namespace

std::string_view LayoutName(Layout layout) {
  switch (layout) {
    case Layout::kRows:
      return "mapped";
    case Layout::kPacked:
      return "packed";
  }
  return "";
}

std::vector<Layout> LayoutsOf(quant::Format format) {
  std::vector<Layout> layouts{Layout::kRows};
  if (HasPackedForm(format)) layouts.push_back(Layout::kPacked);
  return layouts;
}

std::vector<quant::Format> KvFormats() {
  std::vector<quant::Format> formats;
  for (const quant::FormatInfo& info : quant::Formats()) {
    if (EncodeRowTable()[FormatIndex(info.format)] != nullptr) formats.push_back(info.format);
  }
  return formats;
}

std::span<const RowOperation> RowOperations() { return kRowOperations; }

void FillRowOperands(std::span<float> x, std::span<float> w) {
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = -0.1f - 1.4f * static_cast<float>(i * 37 % 101) / 101.0f;
    w[i] = 1.0f + std::exp(-x[i]);
  }
}

}  // namespace crossover::kernels
