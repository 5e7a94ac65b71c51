#include "engine/synth/synth.h"

#include <chrono>

#include "base/output_file.h"
#include "engine/files/gguf_writer.h"
#include "engine/synth/synth_model.h"
#include "engine/synth/synth_weights.h"
#include "quant/check_overrides.h"
#include "quant/format_list.h"

namespace crossover::engine {
namespace {

uint64_t Bytes(const std::vector<GgufTensorInfo>& infos) {
  uint64_t bytes = 0;
  for (const GgufTensorInfo& info : infos) bytes += info.bytes();
  return bytes;
}

double BitsPerWeight(const std::vector<GgufTensorInfo>& infos,
                     const std::vector<SynthTensor>& tensors) {
  double bits = 0;
  double weights = 0;
  for (size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].shape.size() < 2) continue;
    bits += 8.0 * static_cast<double>(infos[i].bytes());
    weights += static_cast<double>(tensors[i].elements());
  }
  return bits / weights;
}

}  // namespace

std::vector<GgufTensorInfo> PlanSynth(const SynthShape& shape, const quant::Recipe& recipe,
                                      const quant::RecipeOptions& options) {
  const std::vector<SynthTensor> tensors = SynthTensors(shape);
  quant::ModelFacts model;
  model.architecture = shape.family->architecture;
  model.layers = shape.layers;
  model.heads = shape.heads;
  model.kv_heads = shape.kv_heads;
  std::vector<quant::TensorFacts> facts;
  for (const SynthTensor& tensor : tensors) {
    facts.push_back({tensor.name, tensor.shape, quant::F32::kFormat});
  }
  quant::CheckOverrides(recipe, facts, options);
  const auto choices = quant::PlanRecipe(recipe, model, facts, options);
  std::vector<GgufTensorInfo> infos;
  for (size_t i = 0; i < tensors.size(); ++i) {
    infos.push_back({tensors[i].name, choices[i].format, tensors[i].shape});
  }
  return infos;
}

uint64_t SynthParameters(const SynthShape& shape) {
  uint64_t parameters = 0;
  for (const SynthTensor& tensor : SynthTensors(shape)) {
    if (tensor.values.empty()) parameters += tensor.elements();
  }
  return parameters;
}

uint64_t SynthBytes(const SynthShape& shape, const quant::Recipe& recipe,
                    const quant::RecipeOptions& options) {
  return Bytes(PlanSynth(shape, recipe, options));
}

SynthReport SynthesizeFile(const SynthShape& shape, const quant::Recipe& recipe,
                           const std::filesystem::path& out, const SynthOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<SynthTensor> tensors = SynthTensors(shape);
  const std::vector<GgufTensorInfo> infos = PlanSynth(shape, recipe, options.recipe);
  const uint64_t total = Bytes(infos);
  RequireSpace(out, total);

  GgufWriter writer(out, SynthMetadata(shape, recipe, options.seed), infos);
  SynthWeights weights(options.seed);
  uint64_t done = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    weights.Make(tensors[i], infos[i].format, [&](std::span<const std::byte> bytes) {
      writer.Append(bytes);
      done += bytes.size();
      if (options.progress) options.progress(done, total);
    });
  }
  writer.Commit();
  return {
      .parameters = SynthParameters(shape),
      .file_bytes = writer.size(),
      .effective_bpw = BitsPerWeight(infos, tensors),
      .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

}  // namespace crossover::engine
