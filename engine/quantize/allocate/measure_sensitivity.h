// How much of a model's output each tensor's errors cost, measured: the KL divergence on a text
// with this tensor alone quantised.
#pragma once

#include <span>
#include <vector>

#include "engine/calibrate/chunks.h"
#include "engine/quantize/allocate/measure_errors.h"

namespace crossover::engine {

struct SensitivityOptions {
  size_t step = 8;  // every so many tokens of a chunk are compared
  size_t threads = 1;
  CalibrationProgress progress{};
};

/// Of each of `errors`: nats of mean divergence for a unit of relative error, from the tensor's
/// smallest format, whose error is measured again on all rows. 0 for tensors without a format.
/// Keeps the text's activations before every layer, and runs the layers behind the tensor alone.
/// Error as EncodeByGptq.
std::vector<double> MeasureSensitivity(std::shared_ptr<const GgufFile> file,
                                       std::span<const TensorErrors> errors,
                                       const Importance* importance,
                                       const CalibrationChunks& chunks,
                                       const SensitivityOptions& options);

}  // namespace crossover::engine
