// What each tensor of a model loses in each format.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/quantize/importance.h"

namespace crossover::engine {

struct FormatError {
  quant::Format format{};
  uint64_t bits = 0;    // of the whole tensor
  double relative = 0;  // Σ importance·(w - ŵ)² / Σ importance·w²
};

struct TensorErrors {
  std::string name;
  uint64_t elements = 0;
  std::vector<FormatError> formats;  // those whose blocks divide the rows; maybe none
};

struct ErrorOptions {
  size_t rows = 128;  // of each tensor, evenly spread; more are not looked at
  size_t threads = 1;
  std::function<void(size_t done, size_t total)> progress{};
};

/// Of the tensors that a recipe may quantise, in the file's order. The errors' share of what a
/// product puts out is what the weighed sum estimates, for inputs whose columns are uncorrelated.
/// `importance` may be null. Error(kInvalidArgument) if it is another model's, Error(kNonFinite).
std::vector<TensorErrors> MeasureErrors(const GgufFile& file, const Importance* importance,
                                        std::span<const quant::Format> formats,
                                        const ErrorOptions& options);

}  // namespace crossover::engine
