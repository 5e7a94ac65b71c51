#include "engine/quantize/allocate/measure_errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/files/gguf_cursor.h"
#include "engine/quantize/tensor_importance.h"
#include "kernels/start_threads.h"
#include "quant/tensor_role.h"

namespace crossover::engine {
namespace {

struct Sums {
  double error = 0;
  double weight = 0;
};

/// Of one row, by the format's own search.
Sums RowSums(const quant::FormatInfo& info, std::span<const float> row, const float* importance) {
  std::vector<std::byte> blocks(info.row_bytes(row.size()));
  std::vector<float> decoded(row.size());
  info.encode(row.data(), row.size(), importance, blocks.data());
  info.decode(blocks.data(), row.size(), decoded.data());
  Sums sums;
  for (size_t c = 0; c < row.size(); ++c) {
    const double weight = importance == nullptr ? 1.0 : double{importance[c]};
    const double miss = double{row[c]} - decoded[c];
    sums.error += weight * miss * miss;
    sums.weight += weight * row[c] * row[c];
  }
  return sums;
}

TensorErrors Measure(const GgufTensor& tensor, const TensorImportance& importance,
                     std::span<const quant::Format> formats, const ErrorOptions& options) {
  const uint64_t columns = tensor.shape[0];
  TensorErrors out{tensor.name, tensor.elements(), {}};
  for (const quant::Format format : formats) {
    const quant::FormatInfo& info = quant::Info(format);
    if (columns % info.block_weights != 0) continue;
    out.formats.push_back({format, tensor.rows() * info.row_bytes(columns) * 8, 0});
  }
  const quant::FormatInfo& source = quant::Info(tensor.format);
  const uint64_t count = std::min<uint64_t>(tensor.rows(), options.rows);
  const uint64_t expert_rows = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  const uint64_t experts = importance.columns.size() / columns;
  std::vector<Sums> sums(count * out.formats.size());
#pragma omp parallel for num_threads(static_cast <int>(options.threads)) schedule(dynamic)
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t r = i * tensor.rows() / count;
    std::vector<float> row(columns);
    source.decode(tensor.data.data() + r * source.row_bytes(columns), columns, row.data());
    const float* weights =
        experts == 0 ? nullptr : &importance.columns[r / expert_rows % experts * columns];
    for (size_t f = 0; f < out.formats.size(); ++f) {
      sums[f * count + i] = RowSums(quant::Info(out.formats[f].format), row, weights);
    }
  }
  for (size_t f = 0; f < out.formats.size(); ++f) {
    Sums total;
    for (uint64_t i = 0; i < count; ++i) {
      total.error += sums[f * count + i].error;
      total.weight += sums[f * count + i].weight;
    }
    if (!std::isfinite(total.error) || !std::isfinite(total.weight)) {
      throw Error(ErrorCode::kNonFinite,
                  fmt::format("tensor {} holds a NaN or an infinity; the model is broken",
                              Quoted(tensor.name)));
    }
    out.formats[f].relative = total.weight > 0 ? total.error / total.weight : 0;
  }
  return out;
}

}  // namespace

std::vector<TensorErrors> MeasureErrors(const GgufFile& file, const Importance* importance,
                                        std::span<const quant::Format> formats,
                                        const ErrorOptions& options) {
  kernels::RequireThreads(options.threads);
  std::vector<const GgufTensor*> tensors;
  for (const GgufTensor& tensor : file.tensors()) {
    if (quant::MayQuantize(tensor.name, tensor.shape)) tensors.push_back(&tensor);
  }
  std::vector<TensorErrors> errors;
  for (const GgufTensor* tensor : tensors) {
    ThrowIfInterrupted();
    if (options.progress) options.progress(errors.size(), tensors.size());
    const TensorImportance weights =
        importance == nullptr ? TensorImportance{} : ImportanceOf(*importance, *tensor);
    errors.push_back(Measure(*tensor, weights, formats, options));
  }
  return errors;
}

}  // namespace crossover::engine
