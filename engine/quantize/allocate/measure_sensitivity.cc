#include "engine/quantize/allocate/measure_sensitivity.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/interrupt.h"
#include "engine/calibrate/layer_runner.h"
#include "engine/calibrate/product_tensors.h"
#include "engine/model/matrices.h"
#include "engine/quantize/tensor_encoder.h"
#include "engine/quantize/tensor_importance.h"
#include "quant/tensor_role.h"

namespace crossover::engine {
namespace {

// Where a divergence drowns in rounding, a tensor still counts a little.
constexpr double kLeastSensitivity = 1e-9;

/// ln softmax, in place.
void LogSoftmax(std::span<float> row) {
  const float most = *std::ranges::max_element(row);
  double sum = 0;
  for (const float v : row) sum += std::exp(double{v} - most);
  const auto shift = static_cast<float>(most + std::log(sum));
  for (float& v : row) v -= shift;
}

class SensitivityRun {
 public:
  SensitivityRun(std::shared_ptr<const GgufFile> file, const CalibrationChunks& chunks,
                 const SensitivityOptions& options)
      : file_(file),
        options_(options),
        model_(Model::FromFile(std::move(file))),
        runner_(*model_, chunks, options.threads, kernels::Activations::kAuto),
        encoder_(options.threads) {
    states_.push_back(runner_.Embed());
    for (size_t layer = 0; layer < layers(); ++layer) {
      states_.push_back(states_.back());
      RunLayer(layer, states_.back());
    }
    runner_.Logits(states_.back(), options_.step, [&](size_t, std::span<const float> logits) {
      base_.emplace_back(logits.begin(), logits.end());
      LogSoftmax(base_.back());
    });
  }

  double Measure(const TensorErrors& errors, const Importance* importance) {
    const GgufTensor& tensor = *file_->FindTensor(errors.name);
    const quant::Format format =
        std::ranges::min_element(errors.formats, {}, &FormatError::bits)->format;
    TensorImportance weights;
    if (importance != nullptr) weights = ImportanceOf(*importance, tensor);
    const EncodeTask task{.tensor = &tensor, .target = format, .importance = weights.columns};
    std::vector<std::byte> encoded;
    encoder_.Encode(task, [&](std::span<const std::byte> bytes) {
      encoded.insert(encoded.end(), bytes.begin(), bytes.end());
    });
    const double error = RelativeError(tensor, format, encoded, weights.columns);
    const Weights kept = runner_.weights();
    Exchange(tensor, format, encoded);
    const double divergence = Divergence(tensor);
    runner_.weights() = kept;
    return error > 0 ? std::max(divergence / error, kLeastSensitivity) : kLeastSensitivity;
  }

 private:
  size_t layers() const { return model_->config().layers; }

  void RunLayer(size_t layer, std::vector<float>& x) {
    runner_.Run(Block::kLayer, layer, x, /*keep=*/true, nullptr);
  }

  void Exchange(const GgufTensor& tensor, quant::Format format,
                std::span<const std::byte> encoded) {
    const auto exchange = [&](kernels::Matrix& matrix) {
      if (TensorHolding(*file_, matrix) == &tensor) {
        ExchangeMatrix(tensor, format, encoded, matrix);
      }
    };
    exchange(runner_.weights().embedding);
    ForEachMatrix(runner_.weights(), exchange);
  }

  /// Mean Σ p·(ln p - ln q) of the rows that are compared.
  double Divergence(const GgufTensor& tensor) {
    const auto layer = quant::LayerOf(tensor.name);
    std::vector<float> x;
    size_t next = layer ? *layer : layers();
    if (TensorHolding(*file_, model_->weights().embedding) == &tensor) {
      x = runner_.Embed();
      next = 0;
    } else {
      x = states_[next];
    }
    for (; next < layers(); ++next) RunLayer(next, x);
    double sum = 0;
    std::vector<float> row;
    runner_.Logits(x, options_.step, [&](size_t r, std::span<const float> logits) {
      row.assign(logits.begin(), logits.end());
      LogSoftmax(row);
      for (size_t i = 0; i < row.size(); ++i) {
        sum += std::exp(double{base_[r][i]}) * (double{base_[r][i]} - row[i]);
      }
    });
    return sum / static_cast<double>(base_.size());
  }

  static double RelativeError(const GgufTensor& tensor, quant::Format format,
                              std::span<const std::byte> encoded,
                              std::span<const float> importance) {
    const quant::FormatInfo& source = quant::Info(tensor.format);
    const quant::FormatInfo& target = quant::Info(format);
    const size_t columns = tensor.shape[0];
    std::vector<float> row(columns), decoded(columns);
    double error = 0, weight = 0;
    for (size_t r = 0; r < tensor.rows(); ++r) {
      source.decode(&tensor.data[r * source.row_bytes(columns)], columns, row.data());
      target.decode(&encoded[r * target.row_bytes(columns)], columns, decoded.data());
      for (size_t c = 0; c < columns; ++c) {
        const double w = importance.empty() ? 1.0 : double{importance[c]};
        error += w * std::pow(double{row[c]} - decoded[c], 2);
        weight += w * row[c] * row[c];
      }
    }
    return weight > 0 ? error / weight : 0;
  }

  std::shared_ptr<const GgufFile> file_;
  const SensitivityOptions& options_;
  std::shared_ptr<const Model> model_;
  LayerRunner runner_;
  TensorEncoder encoder_;
  std::vector<std::vector<float>> states_;  // x before each layer, and behind the last
  std::vector<std::vector<float>> base_;    // ln p of the rows
};

}  // namespace

std::vector<double> MeasureSensitivity(std::shared_ptr<const GgufFile> file,
                                       std::span<const TensorErrors> errors,
                                       const Importance* importance,
                                       const CalibrationChunks& chunks,
                                       const SensitivityOptions& options) {
  SensitivityRun run(std::move(file), chunks, options);
  std::vector<double> sensitivity;
  for (const TensorErrors& tensor : errors) {
    ThrowIfInterrupted();
    if (options.progress) options.progress(sensitivity.size(), errors.size());
    sensitivity.push_back(tensor.formats.empty() ? 0 : run.Measure(tensor, importance));
  }
  return sensitivity;
}

}  // namespace crossover::engine
