// Finds a model's tensors by name and checks their shapes, so that an architecture reads as a list.
#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/files/gguf.h"
#include "kernels/matmul.h"

namespace crossover::engine {

class TensorBinder {
 public:
  explicit TensorBinder(const GgufFile& file) : file_(file) {}

  /// W[rows][cols] in any format; Error(kCorruptFile) names the tensor and both shapes.
  kernels::Matrix Matrix(const std::string& name, size_t rows, size_t cols);
  /// `count` such matrices, one behind the other in one tensor of three dimensions.
  std::vector<kernels::Matrix> Matrices(const std::string& name, size_t count, size_t rows,
                                        size_t cols);
  /// `count` vectors of `n`, as one.
  std::span<const float> Vectors(const std::string& name, size_t count, size_t n);
  /// float32[n]; other formats are converted and kept by the binder.
  std::span<const float> Vector(const std::string& name, size_t n);
  /// The same; empty if the file has no such tensor.
  std::span<const float> OptionalVector(const std::string& name, size_t n);
  /// Keeps a vector that an architecture derived.
  std::span<const float> Keep(std::vector<float> values) {
    return converted_.emplace_back(std::move(values));
  }
  /// Error(kCorruptFile) for a value that is not above 0; `what` names them.
  void CheckPositive(std::span<const float> values, std::string_view what) const;
  /// Error(kUnsupported) naming a tensor that nobody asked for: the model is another than the one
  /// that was bound, and would be run wrongly.
  void CheckAllBound() const;
  bool Has(const std::string& name) const { return file_.FindTensor(name) != nullptr; }

  /// Storage behind converted and derived vectors, to be kept as long as the spans.
  std::vector<std::vector<float>> TakeConverted() { return std::move(converted_); }

 private:
  std::span<const float> Floats(const GgufTensor& tensor);
  /// Error(kUnsupported) if a factor other than 1 stands beside one of `count` matrices.
  void CheckFactors(std::string_view name, size_t count);
  const GgufTensor& Find(const std::string& name, std::span<const uint64_t> shape);

  const GgufFile& file_;
  std::vector<std::vector<float>> converted_;
  std::set<std::string_view> bound_;
};

/// Rows [first, first + n) of a matrix; Error(kUnsupported) if it is packed and `first` lies inside
/// a group of its rows.
kernels::Matrix Rows(const kernels::Matrix& matrix, size_t first, size_t n);

}  // namespace crossover::engine
