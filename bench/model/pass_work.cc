#include "bench/model/pass_work.h"

#include "bench/model/model.h"
#include "engine/files/gguf_writer.h"
#include "engine/model/model.h"
#include "engine/synth/synth.h"

namespace crossover::bench {
namespace {

constexpr double kKvBytes = 2;  // float16

/// Adds a tensor; `tied`: the embedding is the output matrix too.
void AddTensor(ModelWork& work, const std::string& name, double weights, double bytes, bool matrix,
               bool tied) {
  work.file_bytes += static_cast<uint64_t>(bytes);
  if (!matrix) return;
  if (name == "output.weight" || (tied && name == "token_embd.weight")) {
    work.output_bytes += bytes;
    work.output_weights += weights;
  } else if (name.starts_with("blk.")) {
    work.layer_bytes += bytes;
    work.layer_weights += weights;
  }
}

}  // namespace

ModelWork WorkOfShape(const engine::SynthShape& shape, const quant::Recipe& recipe) {
  ModelWork work{.model = std::string(shape.name),
                 .format = std::string(recipe.name),
                 .quantized = quant::Info(recipe.base).quantized,
                 .parameters = engine::SynthParameters(shape),
                 .layers = shape.layers};
  double bits = 0;
  double weights = 0;
  for (const engine::GgufTensorInfo& tensor : engine::PlanSynth(shape, recipe)) {
    double elements = 1;
    for (const uint64_t n : tensor.shape) elements *= static_cast<double>(n);
    const auto bytes = static_cast<double>(tensor.bytes());
    const bool matrix = tensor.shape.size() > 1;
    AddTensor(work, tensor.name, elements, bytes, matrix, shape.tied);
    if (!matrix) continue;
    bits += 8 * bytes;
    weights += elements;
  }
  work.effective_bpw = bits / weights;
  work.attention_width = static_cast<double>(shape.heads) * shape.head_dim;
  work.kv_bytes_per_token = 2.0 * kKvBytes * shape.kv_heads * shape.head_dim * shape.layers;
  return work;
}

ModelWork WorkOfFile(const std::filesystem::path& path) {
  const auto model = engine::Model::Load(path);
  const engine::GgufFile& file = model->file();
  const engine::ModelConfig& config = model->config();
  ModelWork work{.model = path.string(),
                 .format = DominantFormat(file),
                 .effective_bpw = engine::EffectiveBpw(file),
                 .parameters = model->parameters(),
                 .layers = config.layers};
  if (const quant::FormatInfo* info = quant::FindFormat(work.format)) {
    work.quantized = info->quantized;
  }
  const bool tied = file.FindTensor("output.weight") == nullptr;
  for (const engine::GgufTensor& tensor : file.tensors()) {
    AddTensor(work, tensor.name, static_cast<double>(tensor.elements()),
              static_cast<double>(tensor.data.size()), tensor.shape.size() > 1, tied);
  }
  work.attention_width = static_cast<double>(config.heads * config.head_dim);
  work.kv_bytes_per_token =
      2 * kKvBytes * static_cast<double>(config.kv_heads * config.head_dim * config.layers);
  return work;
}

PassWork WorkOfProducts(const ModelWork& model, size_t tokens) {
  const auto t = static_cast<double>(tokens);
  return {.bytes = model.layer_bytes + model.output_bytes,
          .operations = 2 * (model.layer_weights * t + model.output_weights),
          .weights = model.layer_weights + model.output_weights,
          .layers = model.layers};
}

PassWork WorkOfPass(const ModelWork& model, size_t tokens, size_t depth) {
  const auto t = static_cast<double>(tokens);
  const auto d = static_cast<double>(depth);
  const double pairs = t * d + t * (t + 1) / 2;  // of a query and a token before it or itself
  PassWork work = WorkOfProducts(model, tokens);
  work.bytes += model.kv_bytes_per_token * (d + t);
  work.operations += 4 * model.attention_width * static_cast<double>(model.layers) * pairs;
  return work;
}

}  // namespace crossover::bench
