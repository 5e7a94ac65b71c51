// A GGUF file of a model's true shape with random weights: throughput can be studied where nothing
// can be downloaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "engine/files/gguf_writer.h"
#include "engine/synth/synth_shapes.h"
#include "quant/recipe.h"

namespace crossover::engine {

struct SynthOptions {
  quant::RecipeOptions recipe;
  uint64_t seed = 1;
  /// Called as work goes on with bytes written and in all, from one thread; may be null.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct SynthReport {
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  double effective_bpw = 0;
  double seconds = 0;
};

/// Each tensor gets the format that `crossover quantize` would give it. The same shape, recipe and
/// options give the same bytes. Error(kInvalidArgument) for a shape that cannot be; kIo;
/// kInterrupted. Nothing but a complete file ever stands under `out`.
SynthReport SynthesizeFile(const SynthShape& shape, const quant::Recipe& recipe,
                           const std::filesystem::path& out, const SynthOptions& options);

/// Bytes of all tensors as SynthesizeFile would write them, and so about those of the file.
uint64_t SynthBytes(const SynthShape& shape, const quant::Recipe& recipe,
                    const quant::RecipeOptions& options = {});

/// Names, formats and shapes of the tensors that such a file holds.
std::vector<GgufTensorInfo> PlanSynth(const SynthShape& shape, const quant::Recipe& recipe,
                                      const quant::RecipeOptions& options = {});

/// Weights of all tensors; RoPE's factors are constants and do not count.
uint64_t SynthParameters(const SynthShape& shape);

}  // namespace crossover::engine
