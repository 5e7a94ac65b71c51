#include "engine/quantize/gptq/encode_by_gptq.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/content_identity.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "engine/calibrate/layer_runner.h"
#include "engine/calibrate/product_tensors.h"
#include "engine/files/gguf_cursor.h"
#include "engine/model/matrices.h"
#include "engine/quantize/gptq/factor.h"
#include "engine/quantize/gptq/hessian.h"
#include "quant/codes/codes.h"
#include "quant/unseen_columns.h"

namespace crossover::engine {
namespace {

/// Changes with whatever changes a byte of what is encoded.
std::string IdentityOf(const GgufFile& file, std::span<const EncodeTask> tasks,
                       const CalibrationChunks& chunks, double damping) {
  std::string identity =
      fmt::format("gptq 1, {} x {}, damping {}\n", chunks.Identity(), chunks.count, damping);
  std::map<std::string, std::string> contents;
  for (const GgufTensor& tensor : file.tensors()) {
    std::string& content = contents[tensor.file->path()];
    if (content.empty()) content = ContentIdentity(tensor.file->bytes());
  }
  for (const auto& [path, content] : contents) identity += content + "\n";
  for (const EncodeTask& task : tasks) {
    identity += fmt::format("{} {}\n", Quoted(task.tensor->name), quant::Info(task.target).name);
  }
  return identity;
}

// Experts see too few tokens of a short text each, and have too many Hessians to hold.
bool IsChosen(const EncodeTask& task) {
  const bool experts = task.tensor->shape.size() > 2 && task.tensor->shape[2] > 1;
  return !experts && task.tensor->format != task.target && quant::CodesOf(task.target) != nullptr;
}

}  // namespace

class GptqRun {
 public:
  GptqRun(std::shared_ptr<const GgufFile> file, std::span<const EncodeTask> tasks,
          const CalibrationChunks& chunks, const GptqOptions& options, GptqTensors& result)
      : file_(file),
        tasks_(tasks),
        options_(options),
        result_(result),
        model_(Model::FromFile(std::move(file))),
        products_(*model_),
        runner_(*model_, chunks, options.threads, kernels::Activations::kAuto),
        steps_(model_->config().layers * kLayerProducts) {
    for (size_t i = 0; i < tasks.size(); ++i) task_of_[tasks[i].tensor] = i;
    result_.tensors_.resize(tasks.size());
  }

  void Run() {
    ExchangeEmbedding();
    std::vector<float> x = runner_.Embed();
    for (size_t layer = 0; layer < model_->config().layers; ++layer) {
      const bool parallel = model_->config().parallel_blocks;
      Encode(Product::kQkv, layer, x);
      Encode(Product::kAttentionOutput, layer, x);
      if (!parallel) runner_.Run(Block::kAttention, layer, x, /*keep=*/true, nullptr);
      Encode(Product::kRouter, layer, x);
      Encode(Product::kGateUp, layer, x);
      Encode(Product::kDown, layer, x);
      runner_.Run(parallel ? Block::kLayer : Block::kFeedForward, layer, x, /*keep=*/true, nullptr);
    }
    if (options_.progress) options_.progress(steps_, steps_);
  }

 private:
  /// Encoded as it will stand in the file: the first layer's input.
  void ExchangeEmbedding() {
    kernels::Matrix& embedding = runner_.weights().embedding;
    const GgufTensor* tensor = TensorHolding(*file_, embedding);
    const auto found = task_of_.find(tensor);
    if (found == task_of_.end() || !IsChosen(tasks_[found->second])) return;
    const EncodeTask& task = tasks_[found->second];
    TensorEncoder(options_.threads).Encode(task, [&](std::span<const std::byte> bytes) {
      embedding_.insert(embedding_.end(), bytes.begin(), bytes.end());
    });
    ExchangeMatrix(*tensor, task.target, embedding_, embedding);
  }

  void Encode(Product product, size_t layer, std::vector<float>& x) {
    if (options_.progress)
      options_.progress(layer * kLayerProducts + static_cast<size_t>(product), steps_);
    std::vector<size_t> missing;
    for (const GgufTensor* tensor : products_.Of(product, layer)) {
      const auto found = task_of_.find(tensor);
      if (found == task_of_.end() || !IsChosen(tasks_[found->second])) continue;
      result_.tensors_[found->second] =
          result_.journal_.Find(found->second, BytesOf(found->second));
      if (!result_.tensors_[found->second]) missing.push_back(found->second);
    }
    if (!missing.empty()) EncodeAll(missing, product, layer, x);
    ForEachLayerMatrix(runner_.weights().layers[layer], [&](kernels::Matrix& matrix) {
      for (const GgufTensor* tensor : products_.Of(product, layer)) {
        if (TensorHolding(*file_, matrix) != tensor) continue;
        const size_t task = task_of_.at(tensor);
        if (!result_.tensors_[task]) continue;
        ExchangeMatrix(*tensor, tasks_[task].target, result_.tensors_[task]->bytes, matrix);
      }
    });
  }

  size_t BytesOf(size_t task) const {
    const GgufTensor& tensor = *tasks_[task].tensor;
    return tensor.rows() * quant::Info(tasks_[task].target).row_bytes(tensor.shape[0]);
  }

  /// Tensors that meet the same input share its Hessian.
  void EncodeAll(const std::vector<size_t>& tasks, Product product, size_t layer,
                 std::vector<float>& x) {
    const size_t columns = tasks_[tasks.front()].tensor->shape[0];
    std::optional<Hessian> hessian(std::in_place, columns, runner_.max_tokens());
    const ProductTap tap = [&](const kernels::Worker& worker, const ProductInput& input) {
      if (input.place.product == product) hessian->Add(worker, input.rows, input.tokens);
    };
    const bool attention = product == Product::kQkv || product == Product::kAttentionOutput;
    const Block block = model_->config().parallel_blocks ? Block::kLayer
                        : attention                      ? Block::kAttention
                                                         : Block::kFeedForward;
    runner_.Run(block, layer, x, /*keep=*/false, &tap);
    std::vector<float> importance(columns);
    for (size_t c = 0; c < columns; ++c) importance[c] = hessian->At(c, c);
    quant::FillUnseenColumns(importance);
    const HessianFactor factor = FactorHessian(runner_.team(), *hessian, options_.damping);
    hessian.reset();
    for (const size_t task : tasks) {
      ThrowIfInterrupted();
      EncodeOne(task, factor, importance);
    }
  }

  void EncodeOne(size_t index, const HessianFactor& factor, const std::vector<float>& importance) {
    const EncodeTask& task = tasks_[index];
    const GgufTensor& tensor = *task.tensor;
    const quant::FormatInfo& source = quant::Info(tensor.format);
    const quant::FormatInfo& target = quant::Info(task.target);
    const size_t columns = tensor.shape[0];
    std::vector<float> weights(tensor.elements());
    std::vector<std::byte> blocks(BytesOf(index));
    runner_.team().Run([&](const kernels::Worker& worker) {
      const kernels::Range rows = worker.Split(tensor.rows());
      for (size_t r = rows.begin; r < rows.end; ++r) {
        float* row = &weights[r * columns];
        source.decode(tensor.data.data() + r * source.row_bytes(columns), columns, row);
        target.encode(row, columns, importance.data(), &blocks[r * target.row_bytes(columns)]);
      }
    });
    const GptqLoss loss = ChooseCodes(runner_.team(), factor, task.target, weights, blocks);
    result_.tensors_[index] = result_.journal_.Add(index, blocks, loss);
  }

  std::shared_ptr<const GgufFile> file_;
  std::span<const EncodeTask> tasks_;
  const GptqOptions& options_;
  GptqTensors& result_;
  std::shared_ptr<const Model> model_;
  ProductTensors products_;
  LayerRunner runner_;
  size_t steps_;
  std::map<const GgufTensor*, size_t> task_of_;
  std::vector<std::byte> embedding_;
};

GptqTensors EncodeByGptq(std::shared_ptr<const GgufFile> file, std::span<const EncodeTask> tasks,
                         const CalibrationChunks& chunks, const GptqOptions& options) {
  for (const GgufTensor& tensor : file->tensors()) {
    if (tensor.halved_heads == 0) continue;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: GPTQ runs the model, which only a GGUF file can be; make one with "
                            "crossover quantize {} model-f16.gguf F16",
                            file->path(), file->path()));
  }
  GptqTensors result(
      EncodedJournal(options.journal, IdentityOf(*file, tasks, chunks, options.damping)));
  GptqRun(std::move(file), tasks, chunks, options, result).Run();
  return result;
}

}  // namespace crossover::engine
