#include "engine/model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "engine/arch/architecture.h"
#include "engine/arch/check_keys.h"
#include "engine/files/gguf_cursor.h"
#include "engine/model/matrices.h"
#include "engine/model/vocabulary_rows.h"
#include "kernels/packed/pack.h"

namespace crossover::engine {
namespace {

const Architecture& FindArchitecture(const GgufFile& file) {
  const std::string_view name = file.String("general.architecture");
  std::vector<std::string_view> known;
  for (const Architecture& architecture : Architectures()) {
    if (architecture.name == name) return architecture;
    known.push_back(architecture.name);
  }
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: architecture {} cannot be run; known: {}", file.path(), Quoted(name),
                          fmt::join(known, ", ")));
}

uint64_t Bytes(const kernels::Matrix& matrix) {
  return matrix.rows * quant::Info(matrix.format).row_bytes(matrix.cols);
}

/// `bytes` lie in a tensor, or in none where they were converted from one.
void ForgetBytes(std::span<const GgufTensor> tensors, std::span<const std::byte> bytes) {
  for (const GgufTensor& tensor : tensors) {
    const auto offset = static_cast<size_t>(bytes.data() - tensor.data.data());
    if (bytes.data() < tensor.data.data() || offset >= tensor.data.size()) continue;
    tensor.file->Forget(tensor.offset + offset, bytes.size());
    return;
  }
}

}  // namespace

std::shared_ptr<const Model> Model::Load(const std::filesystem::path& path,
                                         const ModelOptions& options) {
  return FromFile(GgufFile::Open(path, options.load), options);
}

std::shared_ptr<const Model> Model::FromFile(std::shared_ptr<const GgufFile> file,
                                             const ModelOptions& options) {
  const Architecture& architecture = FindArchitecture(*file);
  std::shared_ptr<Model> model(new Model);
  model->config_ = architecture.read_config(*file);
  const auto halved = [](const GgufTensor& tensor) { return tensor.halved_heads != 0; };
  if (std::ranges::any_of(file->tensors(), halved)) {
    model->config_.rope_style = kernels::RopeStyle::kNeox;
  }
  const size_t rows = model->config_.vocab;
  CheckRows(file->path(), rows, CountTokens(*file, rows));
  CheckKeys(*file, architecture.keys, model->config_);
  TensorBinder tensors(*file);
  model->weights_ = BindWeights(tensors, model->config_, architecture.parts);
  model->converted_ = tensors.TakeConverted();
  if (options.weights == WeightLayout::kPacked) {
    // What was packed is not read from the file again, but for an embedding's rows, which come back
    // a page at a time.
    model->packed_ = PackedWeights(
        model->weights_, options.threads,
        [&](std::span<const std::byte> bytes) { ForgetBytes(file->tensors(), bytes); });
  }
  model->file_ = std::move(file);
  return model;
}

uint64_t Model::parameters() const {
  uint64_t total = 0;
  for (const GgufTensor& tensor : file_->tensors()) total += tensor.elements();
  return total;
}

uint64_t Model::bytes_per_token() const {
  uint64_t total = quant::Info(weights_.embedding.format).row_bytes(weights_.embedding.cols);
  ForEachMatrix(weights_, [&](const kernels::Matrix& matrix) { total += Bytes(matrix); });
  if (weights_.positions.data != nullptr) {
    total += quant::Info(weights_.positions.format).row_bytes(weights_.positions.cols);
  }
  // Of its experts a token reads some.
  for (const LayerWeights& layer : weights_.layers) {
    if (layer.experts.empty()) continue;
    const FeedForwardWeights& one = layer.experts.front();
    total -= (layer.experts.size() - config_.experts.used) *
             (Bytes(one.gate) + Bytes(one.up) + Bytes(one.down));
  }
  return total;
}

}  // namespace crossover::engine
