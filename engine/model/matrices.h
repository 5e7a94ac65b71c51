// The one list of the matrices that a pass multiplies with, in the order in which it reads them.
#pragma once

#include "engine/model/weights.h"

namespace crossover::engine {

/// Those of a layer (LayerWeights, const or not) that it has; of all experts, one after the other.
template <class Layer, class Visit>
void ForEachLayerMatrix(Layer& layer, const Visit& visit) {
  const auto visit_all = [&](auto... matrices) {
    for (auto* matrix : {matrices...}) {
      if (matrix->data != nullptr) visit(*matrix);
    }
  };
  const auto visit_block = [&](auto& ffn) { visit_all(&ffn.gate, &ffn.up, &ffn.down); };
  visit_all(&layer.q, &layer.k, &layer.v, &layer.attention_out);
  visit_block(layer.ffn);
  visit_all(&layer.router);
  for (auto& expert : layer.experts) visit_block(expert);
}

/// Those of all layers, then the output's. `ModelWeights`: Weights, const or not.
template <class ModelWeights, class Visit>
void ForEachMatrix(ModelWeights& weights, const Visit& visit) {
  for (auto& layer : weights.layers) ForEachLayerMatrix(layer, visit);
  visit(weights.output);
}

}  // namespace crossover::engine
