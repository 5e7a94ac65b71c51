#include "engine/model/tensor_binder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/packed_file.h"
#include "kernels/packed/pack.h"

namespace crossover::engine {
namespace {

// A trailing dimension of 1 says nothing: [n, 1] is [n].
std::span<const uint64_t> Significant(std::span<const uint64_t> shape) {
  while (shape.size() > 1 && shape.back() == 1) shape = shape.first(shape.size() - 1);
  return shape;
}

}  // namespace

const GgufTensor& TensorBinder::Find(const std::string& name, std::span<const uint64_t> shape) {
  const GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) {
    throw Error(ErrorCode::kCorruptFile, fmt::format("{}: tensor {} is missing (expected [{}])",
                                                     file_.path(), name, fmt::join(shape, ", ")));
  }
  const auto expected = Significant(shape);
  const auto found = Significant(tensor->shape);
  if (!std::equal(expected.begin(), expected.end(), found.begin(), found.end())) {
    throw Error(
        ErrorCode::kCorruptFile,
        fmt::format("{}: tensor {} has shape [{}], but the metadata asks for [{}]", file_.path(),
                    name, fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")));
  }
  bound_.insert(tensor->name);
  return *tensor;
}

kernels::Matrix TensorBinder::Matrix(const std::string& name, size_t rows, size_t cols) {
  const GgufTensor& tensor = Find(name, std::array<uint64_t, 2>{cols, rows});
  CheckFactors(name, 1);
  return MatrixOf(tensor);
}

std::vector<kernels::Matrix> TensorBinder::Matrices(const std::string& name, size_t count,
                                                    size_t rows, size_t cols) {
  const GgufTensor& tensor = Find(name, std::array<uint64_t, 3>{cols, rows, count});
  CheckFactors(name, count);
  kernels::Matrix all = MatrixOf(tensor);
  all.rows = count * rows;
  std::vector<kernels::Matrix> matrices;
  for (size_t i = 0; i < count; ++i) matrices.push_back(Rows(all, i * rows, rows));
  return matrices;
}

// NVFP4 files keep a factor of each whole matrix in NAME.scale beside NAME.weight; without it,
// every product would be off by it.
void TensorBinder::CheckFactors(std::string_view name, size_t count) {
  constexpr std::string_view kWeight = "weight";
  if (!name.ends_with(kWeight)) return;
  name.remove_suffix(kWeight.size());
  const std::string factors = std::string(name) + "scale";
  if (!Has(factors)) return;
  for (const float factor : Vector(factors, count)) {
    if (factor == 1.0f) continue;
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{}: tensor {} multiplies its matrix by {}, which Crossover does not do; "
                    "use a file without such factors, for example one in MXFP4 or Q4_K",
                    file_.path(), Quoted(factors), factor));
  }
}

std::span<const float> TensorBinder::Vector(const std::string& name, size_t n) {
  return Floats(Find(name, std::array<uint64_t, 1>{n}));
}

std::span<const float> TensorBinder::Vectors(const std::string& name, size_t count, size_t n) {
  return Floats(Find(name, std::array<uint64_t, 2>{n, count}));
}

std::span<const float> TensorBinder::Floats(const GgufTensor& tensor) {
  const size_t n = tensor.elements();
  const quant::FormatInfo& info = quant::Info(tensor.format);
  const bool aligned = reinterpret_cast<uintptr_t>(tensor.data.data()) % alignof(float) == 0;
  if (info.name == "F32" && aligned) {
    return {reinterpret_cast<const float*>(tensor.data.data()), n};
  }
  converted_.emplace_back(n);
  info.decode(tensor.data.data(), n, converted_.back().data());
  return converted_.back();
}

std::span<const float> TensorBinder::OptionalVector(const std::string& name, size_t n) {
  if (!Has(name)) return {};
  return Vector(name, n);
}

void TensorBinder::CheckPositive(std::span<const float> values, std::string_view what) const {
  for (const float value : values) {
    if (value > 0 && std::isfinite(value)) continue;
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: {} is among the {}, which must be positive numbers", file_.path(),
                            value, what));
  }
}

void TensorBinder::CheckAllBound() const {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (bound_.contains(tensor.name)) continue;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: tensor {} has no place in architecture {}; the file holds a "
                            "variant that cannot be run",
                            file_.path(), Quoted(tensor.name),
                            file_.FindString("general.architecture").value_or("?")));
  }
}

kernels::Matrix Rows(const kernels::Matrix& matrix, size_t first, size_t n) {
  const bool packed = matrix.layout == kernels::Layout::kPacked;
  if (packed && first % kernels::kPackedRows != 0) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("a packed matrix of {} rows cannot be split at row {}, only at multiples "
                    "of {}; quantise the model without --packed",
                    matrix.rows, first, kernels::kPackedRows));
  }
  kernels::Matrix part = matrix;
  part.data = static_cast<const std::byte*>(matrix.data) +
              (packed ? first / kernels::kPackedRows * kernels::PackedGroupBytes(matrix)
                      : first * quant::Info(matrix.format).row_bytes(matrix.cols));
  part.rows = n;
  return part;
}

}  // namespace crossover::engine
