#include <array>

#include "engine/run/pass.h"
#include "kernels/rows.h"

namespace crossover::engine {
namespace {

using kernels::Matrix;
using kernels::Range;

// y = W · input + b, a row a token.
void Project(const Pass& pass, const Matrix& w, std::span<float> y, std::span<const float> bias) {
  kernels::MatMul(pass.worker, w, pass.a.input, y.data(), w.rows, {.bias = DataOrNull(bias)});
}

// Apart, for they never exist as floats where the tile units take them.
void LookAtGates(const Pass& pass, const FeedForwardWeights& ffn, size_t index) {
  const size_t size = pass.tokens() * pass.config.ffn_dim;
  if (ffn.gate.data != nullptr) {
    Project(pass, ffn.gate, pass.a.gate, ffn.gate_bias);
    pass.Look(Step::kGate, index, pass.a.gate, size);
  }
  Project(pass, ffn.up, pass.a.up, ffn.up_bias);
  pass.Look(Step::kUp, index, pass.a.up, size);
}

// The units that the products take along, where they can, and nobody wants to see what they make.
bool IsFused(const Pass& pass, const FeedForwardWeights& ffn) {
  return pass.tap == nullptr &&
         (pass.config.unit == Unit::kSwiGlu || pass.config.unit == Unit::kGeGlu) &&
         ffn.gate_bias.empty() && ffn.up_bias.empty();
}

// unit(gate, up) of this worker's share, into `gate`, or into `up` where there is no gate.
void ApplyUnit(const Pass& pass, size_t rows, std::span<float> gate, std::span<float> up) {
  const Range all = pass.worker.Split(rows * pass.config.ffn_dim, kernels::kRowTile);
  if (all.empty()) return;
  float* const g = gate.data() + all.begin;
  float* const u = up.data() + all.begin;
  switch (pass.config.unit) {
    case Unit::kSwiGlu:
      return kernels::GatedUnit(kernels::Gate::kSilu, u, all.size(), g);
    case Unit::kGeGlu:
      return kernels::GatedUnit(kernels::Gate::kGelu, u, all.size(), g);
    case Unit::kClampedSwiGlu:
      return kernels::ClampedUnit(u, all.size(), g);
    case Unit::kGelu:
      return kernels::Gelu(all.size(), u);
    case Unit::kReluSquared:
      return kernels::ReluSquared(all.size(), u);
  }
}

}  // namespace

std::array<const Matrix*, 2> ReadersOf(const FeedForwardWeights& ffn) {
  return {ffn.gate.data != nullptr ? &ffn.gate : &ffn.up, &ffn.up};
}

void HiddenOf(const Pass& pass, const FeedForwardWeights& ffn, size_t rows,
              const ProductPlace& place) {
  Activity& a = pass.a;
  if (IsFused(pass, ffn)) {
    const auto gate =
        pass.config.unit == Unit::kGeGlu ? kernels::Gate::kGelu : kernels::Gate::kSilu;
    kernels::MatMulGated(pass.worker, gate, ffn.gate, ffn.up, a.input, a.gate.data(), a.up.data(),
                         a.ffn_input, ffn.down);
    return;
  }
  const bool gated = HasGate(pass.config.unit);
  if (gated) Project(pass, ffn.gate, a.gate, ffn.gate_bias);
  Project(pass, ffn.up, a.up, ffn.up_bias);
  pass.worker.Sync();
  ApplyUnit(pass, rows, a.gate, a.up);
  pass.worker.Sync();
  const std::span<float> hidden = gated ? a.gate : a.up;
  pass.Tap(place, hidden, rows, pass.config.ffn_dim);
  a.ffn_input.Assign(pass.worker, hidden.data(), rows, pass.config.ffn_dim, std::array{&ffn.down},
                     pass.activations);
}

void FeedForwardHidden(const Pass& pass, const LayerWeights& layer, size_t index) {
  pass.AssignNormed(layer.ffn_norm, ReadersOf(layer.ffn), {Product::kGateUp, index});
  if (pass.probe != nullptr) LookAtGates(pass, layer.ffn, index);
  HiddenOf(pass, layer.ffn, pass.tokens(), {Product::kDown, index});
}

void FeedForwardOutput(const Pass& pass, const LayerWeights& layer) {
  pass.AddProjection(layer.ffn.down, pass.a.ffn_input, layer.ffn.down_bias, layer.ffn_post_norm);
}

}  // namespace crossover::engine
