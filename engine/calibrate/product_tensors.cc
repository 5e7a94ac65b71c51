#include "engine/calibrate/product_tensors.h"

#include <algorithm>

namespace crossover::engine {

const GgufTensor* TensorHolding(const GgufFile& file, const kernels::Matrix& matrix) {
  const auto* data = static_cast<const std::byte*>(matrix.data);
  for (const GgufTensor& tensor : file.tensors()) {
    if (data >= tensor.data.data() && data < tensor.data.data() + tensor.data.size()) {
      return &tensor;
    }
  }
  return nullptr;
}

void ExchangeMatrix(const GgufTensor& tensor, quant::Format format,
                    std::span<const std::byte> encoded, kernels::Matrix& matrix) {
  const auto offset =
      static_cast<size_t>(static_cast<const std::byte*>(matrix.data) - tensor.data.data());
  const size_t row = offset / quant::Info(tensor.format).row_bytes(matrix.cols);
  matrix.data = encoded.data() + row * quant::Info(format).row_bytes(matrix.cols);
  matrix.format = format;
}

ProductTensors::ProductTensors(const Model& model) {
  const auto add = [&](const kernels::Matrix& matrix, std::vector<const GgufTensor*>& to) {
    if (matrix.data == nullptr) return;
    const GgufTensor* tensor = TensorHolding(model.file(), matrix);
    if (tensor != nullptr && std::ranges::find(to, tensor) == to.end()) to.push_back(tensor);
  };
  for (const LayerWeights& layer : model.weights().layers) {
    auto& products = layers_.emplace_back();
    const auto of = [&](Product product) -> auto& {
      return products[static_cast<size_t>(product)];
    };
    for (const auto* w : {&layer.q, &layer.k, &layer.v}) add(*w, of(Product::kQkv));
    add(layer.attention_out, of(Product::kAttentionOutput));
    add(layer.router, of(Product::kRouter));
    const auto add_block = [&](const FeedForwardWeights& ffn) {
      for (const auto* w : {&ffn.gate, &ffn.up}) add(*w, of(Product::kGateUp));
      add(ffn.down, of(Product::kDown));
    };
    add_block(layer.ffn);
    for (const FeedForwardWeights& expert : layer.experts) add_block(expert);
  }
  add(model.weights().output, output_);
}

const std::vector<const GgufTensor*>& ProductTensors::Of(Product product, size_t layer) const {
  return product == Product::kOutput ? output_ : layers_[layer][static_cast<size_t>(product)];
}

}  // namespace crossover::engine
