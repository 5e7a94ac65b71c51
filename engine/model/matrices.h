// The one list of the matrices that a pass multiplies with, in the order in which it reads them.
#pragma once

#include "engine/model/weights.h"

namespace crossover::engine {

/// Seven of a layer: LayerWeights, const or not.
template <class Layer, class Visit>
void ForEachLayerMatrix(Layer& layer, const Visit& visit) {
  for (auto* matrix :
       {&layer.q, &layer.k, &layer.v, &layer.attention_out, &layer.gate, &layer.up, &layer.down}) {
    visit(*matrix);
  }
}

/// Those of all layers, then the output's. `ModelWeights`: Weights, const or not.
template <class ModelWeights, class Visit>
void ForEachMatrix(ModelWeights& weights, const Visit& visit) {
  for (auto& layer : weights.layers) ForEachLayerMatrix(layer, visit);
  visit(weights.output);
}

}  // namespace crossover::engine
