// Matrix products: formats, shapes, layouts, working sets, levels, tokens.
#include <fmt/format.h>

#include <algorithm>

#include "bench/kernels/kernel_cases.h"
#include "bench/kernels/kernel_operands.h"
#include "kernels/choice.h"
#include "kernels/variants.h"

namespace crossover::bench {
namespace {

using kernels::Layout;
using kernels::MatMulInput;
using kernels::Matrix;
using kernels::Worker;

struct Product {
  MatMulInput input;
  std::vector<Matrix> copies;
  std::vector<float> x, y;
};

KernelWork Prepare(KernelBench& bench, quant::Format format, Layout layout, const Fit& fit,
                   size_t cols, size_t tokens, kernels::Activations activations,
                   const std::string& working_set) {
  auto product = std::make_shared<Product>();
  product->copies = bench.weights.Make(bench.team, format, layout, cols, fit);
  product->x = BenchmarkRows(tokens * cols);
  product->y.resize(tokens * fit.rows);
  product->input.Reserve(tokens, cols);
  const Matrix& w = product->copies.front();
  const Matrix* const reader = &w;
  bench.team.Run([&](const Worker& worker) {
    product->input.Assign(worker, product->x.data(), tokens, cols, {&reader, 1}, activations);
  });
  const kernels::KernelChoice choice = kernels::ChooseMatMul(w, activations, tokens);
  const auto bytes = static_cast<double>(fit.rows * quant::Info(format).row_bytes(cols));
  return {.bytes = bytes,
          .operations = 2.0 * static_cast<double>(fit.rows * cols * tokens),
          .kernel = std::string(choice.kernel),
          .limit = tokens <= kernels::kMaxGemvTokens ? working_set : std::string(choice.unit),
          .copies = fit.copies,
          .run = [product](const Worker& worker, size_t first, size_t count) {
            for (size_t i = first; i < first + count; ++i) {
              const Matrix& copy = product->copies[i % product->copies.size()];
              kernels::MatMul(worker, copy, product->input, product->y.data(), copy.rows);
            }
          }};
}

bool Selected(const KernelAxes& axes, Layout layout, const std::vector<Layout>& there) {
  if (axes.layouts.empty()) return layout == there.back();
  return std::ranges::find(axes.layouts, kernels::LayoutName(layout)) != axes.layouts.end();
}

}  // namespace

void AddMatMulCases(const KernelAxes& axes, std::vector<KernelCase>& cases, size_t& left_out) {
  if (!axes.HasOperation("matmul")) return;
  for (const MatrixShape& shape : MatrixShapes()) {
    if (!axes.HasShape(shape.name)) continue;
    for (const quant::Format format : axes.formats) {
      const quant::FormatInfo& info = quant::Info(format);
      if (shape.cols % info.block_weights != 0) continue;  // no file has it
      const auto layouts = kernels::LayoutsOf(format);
      for (const Layout layout : layouts) {
        if (!Selected(axes, layout, layouts)) continue;
        for (const std::string& working_set : axes.working_sets) {
          const auto fit = FitMatrix(*axes.machine, working_set, axes.threads, shape.rows,
                                     info.row_bytes(shape.cols));
          if (!fit) {
            ++left_out;
            continue;
          }
          const std::string name =
              fit->rows == shape.rows
                  ? shape.name
                  : fmt::format("{}[{}_of_{}_rows]", shape.name, fit->rows, shape.rows);
          for (const std::string& level : axes.levels) {
            for (const size_t tokens : axes.tokens) {
              cases.push_back({"matmul", std::string(info.name), name, tokens,
                               std::string(kernels::LayoutName(layout)), working_set, level,
                               [=, cols = shape.cols, fit = *fit,
                                activations = axes.activations](KernelBench& bench) {
                                 return Prepare(bench, format, layout, fit, cols, tokens,
                                                activations, working_set);
                               }});
            }
          }
        }
      }
    }
  }
}

}  // namespace crossover::bench
