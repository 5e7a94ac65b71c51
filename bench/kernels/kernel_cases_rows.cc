// Steps on rows, a row a token, and conversions: activations, stored rows, packing. Bytes bound
// them all; the level is the one that holds the rows of all tokens.
#include <algorithm>

#include "bench/kernels/kernel_cases.h"
#include "bench/kernels/kernel_operands.h"
#include "kernels/packed/pack.h"
#include "kernels/variants.h"

namespace crossover::bench {
namespace {

using kernels::Matrix;
using kernels::Range;
using kernels::RowOperation;
using kernels::Worker;

struct Extent {
  std::string shape;
  size_t n = 0;
};

/// What the operation runs over in a model.
Extent ExtentOf(const RowOperation& operation, const engine::SynthShape& model) {
  if (operation.name.ends_with("glu")) return {FfnRowShape(model), model.ffn};
  if (operation.name.starts_with("soft")) return {VocabularyRowShape(model), model.vocabulary};
  return {RowShape(model), model.width};
}

KernelWork PrepareRows(const RowOperation& operation, size_t n, size_t tokens,
                       const std::string& level) {
  struct Rows {
    std::vector<float> x, w, out;
  };
  auto rows = std::make_shared<Rows>();
  rows->x.resize(tokens * n);
  rows->w.resize(tokens * n);
  kernels::FillRowOperands(rows->x, rows->w);
  rows->out = rows->x;
  return {.bytes = static_cast<double>(operation.floats_moved * sizeof(float) * n * tokens),
          .kernel = std::string(operation.name),
          .limit = level,
          .run = [=, run = operation.run](const Worker& worker, size_t, size_t count) {
            const Range mine = worker.Split(tokens);
            for (size_t i = 0; i < count; ++i) {
              for (size_t t = mine.begin; t < mine.end; ++t) {
                run({n, &rows->x[t * n], &rows->w[t * n], &rows->out[t * n]});
              }
            }
          }};
}

/// A conversion of `tokens` rows of n floats; `bytes` are what a pass reads.
struct Conversion {
  std::string operation;
  quant::Format format;
  std::string shape;
  size_t tokens = 1;
  size_t bytes = 0;
  std::function<KernelWork(KernelBench&, const std::string& level)> prepare;
};

void Add(const KernelAxes& axes, const Conversion& c, std::vector<KernelCase>& cases) {
  const std::string held = LevelOf(*axes.machine, 2 * c.bytes, axes.threads);
  for (const std::string& level : axes.levels) {
    cases.push_back({c.operation, std::string(quant::Info(c.format).name), c.shape, c.tokens, "",
                     held, level, [=](KernelBench& bench) { return c.prepare(bench, held); }});
  }
}

/// Into the form that a matrix of this format reads.
KernelWork PrepareActivations(KernelBench& bench, quant::Format format,
                              kernels::Activations activations, size_t n, size_t tokens,
                              const std::string& level) {
  struct Operands {
    kernels::MatMulInput input;
    std::vector<Matrix> weights;
    std::vector<float> x;
  };
  auto operands = std::make_shared<Operands>();
  operands->x = BenchmarkRows(tokens * n);
  operands->input.Reserve(tokens, n);
  operands->weights = bench.weights.Make(bench.team, format, kernels::LayoutsOf(format).back(), n,
                                         {.rows = 16, .copies = 1});
  return {
      .bytes = static_cast<double>(sizeof(float) * n * tokens),
      .kernel = "assign",
      .limit = level,
      .run = [=](const Worker& worker, size_t, size_t count) {
        const Matrix* const reader = &operands->weights.front();
        for (size_t i = 0; i < count; ++i) {
          operands->input.Assign(worker, operands->x.data(), tokens, n, {&reader, 1}, activations);
        }
      }};
}

KernelWork PrepareStored(bool encode, quant::Format format, size_t n, size_t tokens,
                         const std::string& level) {
  struct Operands {
    std::vector<float> x;
    std::vector<std::byte> blocks;
  };
  auto operands = std::make_shared<Operands>();
  const quant::FormatInfo& info = quant::Info(format);
  const size_t row_bytes = info.row_bytes(n);
  operands->x = BenchmarkRows(tokens * n);
  operands->blocks.resize(tokens * row_bytes);
  info.encode(operands->x.data(), tokens * n, nullptr, operands->blocks.data());
  return {.bytes = static_cast<double>(encode ? tokens * n * sizeof(float) : tokens * row_bytes),
          .kernel = encode ? "encode_row" : "decode_row",
          .limit = level,
          .run = [=](const Worker& worker, size_t, size_t count) {
            const Range mine = worker.Split(tokens);
            for (size_t i = 0; i < count; ++i) {
              for (size_t t = mine.begin; t < mine.end; ++t) {
                float* x = &operands->x[t * n];
                std::byte* blocks = &operands->blocks[t * row_bytes];
                encode ? kernels::EncodeRow(format, x, n, blocks)
                       : kernels::DecodeRow(format, blocks, n, x);
              }
            }
          }};
}

KernelWork PreparePack(KernelBench& bench, quant::Format format, size_t rows, size_t cols,
                       const std::string& level) {
  struct Operands {
    std::vector<Matrix> mapped;
    std::unique_ptr<ReadBuffer> packed;
  };
  auto operands = std::make_shared<Operands>();
  operands->mapped = bench.weights.Make(bench.team, format, kernels::Layout::kRows, cols,
                                        {.rows = rows, .copies = 1});
  const size_t bytes = kernels::PackedBytes(operands->mapped.front());
  operands->packed = std::make_unique<ReadBuffer>(bytes, bytes, 0, PageSize::kHuge, bench.team);
  return {.bytes = static_cast<double>(rows * quant::Info(format).row_bytes(cols)),
          .kernel = "pack",
          .limit = level,
          .run = [=](const Worker& worker, size_t, size_t count) {
            for (size_t i = 0; i < count; ++i) {
              kernels::Pack(worker, operands->mapped.front(), operands->packed->data());
            }
          }};
}

void AddStoredRows(const KernelAxes& axes, const engine::SynthShape& model, bool encode,
                   const std::vector<quant::Format>& formats, std::vector<KernelCase>& cases) {
  const std::string operation = encode ? "encode_row" : "decode_row";
  if (!axes.HasOperation(operation)) return;
  const size_t n = model.width;
  for (const quant::Format format : formats) {
    const quant::FormatInfo& info = quant::Info(format);
    if (!axes.HasFormat(format) || n % info.block_weights != 0) continue;
    for (const size_t tokens : axes.tokens) {
      const size_t bytes = tokens * (encode ? n * sizeof(float) : info.row_bytes(n));
      Add(axes,
          {operation, format, RowShape(model), tokens, bytes,
           [=](KernelBench&, const std::string& level) {
             return PrepareStored(encode, format, n, tokens, level);
           }},
          cases);
    }
  }
}

// The form depends on the block alone, so one format of each block stands for all.
void AddActivations(const KernelAxes& axes, const engine::SynthShape& model,
                    std::vector<KernelCase>& cases) {
  if (!axes.HasOperation("activations")) return;
  std::vector<size_t> blocks;
  for (const quant::Format format : axes.formats) {
    const quant::FormatInfo& info = quant::Info(format);
    const bool seen = std::ranges::find(blocks, info.block_weights) != blocks.end();
    if (!info.quantized || seen || model.width % info.block_weights != 0) continue;
    blocks.push_back(info.block_weights);
    for (const size_t tokens : axes.tokens) {
      Add(axes,
          {"activations", format, RowShape(model), tokens, tokens * model.width * sizeof(float),
           [=, n = size_t{model.width}, activations = axes.activations](KernelBench& bench,
                                                                        const std::string& level) {
             return PrepareActivations(bench, format, activations, n, tokens, level);
           }},
          cases);
    }
  }
}

void AddPacking(const KernelAxes& axes, std::vector<KernelCase>& cases) {
  if (!axes.HasOperation("pack")) return;
  for (const MatrixShape& shape : MatrixShapes()) {
    if (!axes.HasShape(shape.name)) continue;
    for (const quant::Format format : axes.formats) {
      const quant::FormatInfo& info = quant::Info(format);
      if (!kernels::HasPackedForm(format) || shape.cols % info.block_weights != 0) continue;
      Add(axes,
          {"pack", format, shape.name, 0, shape.rows * info.row_bytes(shape.cols),
           [=](KernelBench& bench, const std::string& level) {
             return PreparePack(bench, format, shape.rows, shape.cols, level);
           }},
          cases);
    }
  }
}

}  // namespace

void AddRowCases(const KernelAxes& axes, std::vector<KernelCase>& cases) {
  for (const RowOperation& operation : kernels::RowOperations()) {
    if (!axes.HasOperation(operation.name)) continue;
    for (const engine::SynthShape* model : BenchmarkModels()) {
      const Extent extent = ExtentOf(operation, *model);
      if (!axes.HasShape(extent.shape)) continue;
      for (const std::string& level : axes.levels) {
        for (const size_t tokens : axes.tokens) {
          const std::string held =
              LevelOf(*axes.machine, 3 * sizeof(float) * extent.n * tokens, axes.threads);
          cases.push_back({std::string(operation.name), "", extent.shape, tokens, "", held, level,
                           [=, n = extent.n](KernelBench&) {
                             return PrepareRows(operation, n, tokens, held);
                           }});
        }
      }
    }
  }
}

void AddConversionCases(const KernelAxes& axes, std::vector<KernelCase>& cases) {
  std::vector<quant::Format> formats;
  for (const quant::FormatInfo& info : quant::Formats()) formats.push_back(info.format);
  for (const engine::SynthShape* model : BenchmarkModels()) {
    if (!axes.HasShape(RowShape(*model))) continue;
    AddActivations(axes, *model, cases);
    AddStoredRows(axes, *model, false, formats, cases);
    AddStoredRows(axes, *model, true, kernels::KvFormats(), cases);
  }
  AddPacking(axes, cases);
}

}  // namespace crossover::bench
