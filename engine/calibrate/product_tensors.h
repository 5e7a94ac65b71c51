// Which tensors of a file the input of a product meets.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/model/model.h"
#include "engine/run/product_tap.h"

namespace crossover::engine {

class ProductTensors {
 public:
  /// Precondition: `model` has WeightLayout::kMapped: its matrices lie in the tensors.
  explicit ProductTensors(const Model& model);

  /// In the order of the products; fused matrices (attn_qkv), and those of all experts, once.
  const std::vector<const GgufTensor*>& Of(Product product, size_t layer) const;

 private:
  std::vector<std::array<std::vector<const GgufTensor*>, kLayerProducts>> layers_;
  std::vector<const GgufTensor*> output_;
};

/// The tensor whose bytes hold the matrix; null if it was converted from one.
const GgufTensor* TensorHolding(const GgufFile& file, const kernels::Matrix& matrix);

/// `matrix` lies in `tensor`: from now on in the tensor's rows encoded in `format`, which have to
/// stay.
void ExchangeMatrix(const GgufTensor& tensor, quant::Format format,
                    std::span<const std::byte> encoded, kernels::Matrix& matrix);

}  // namespace crossover::engine
