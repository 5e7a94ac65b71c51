// GGUF or a Hugging Face directory in, GGUF with other weight formats out: streaming, all threads,
// temporary file and rename.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "quant/recipe.h"

namespace crossover::engine {

struct QuantizeOptions {
  quant::RecipeOptions recipe;
  std::filesystem::path importance;  // imatrix file (GGUF or legacy .dat); empty: none
  bool allow_requantize = false;     // accept input that is quantised already
  bool packed = false;               // store matrices in the packed form (packed_file.h)
  size_t threads = 1;
  /// Called as work goes on with bytes of input done and in all, from one thread; may be null.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct QuantizedTensor {
  std::string name;
  quant::Format source;
  quant::Format format;
  quant::Format wanted;  // differs from format when the row length forced a fallback
  bool copied = false;   // the input's own bytes
  bool packed = false;
  bool importance = false;      // errors were weighed by the importance matrix
  uint64_t unseen_columns = 0;  // of the importance matrix, those without data
  uint64_t elements = 0;
  uint64_t columns = 0;  // row length
  size_t dimensions = 0;
  uint64_t bytes = 0;
  double rmse = 0;           // sqrt(mean (w - ŵ)²), measured by decoding what was written
  double relative_rmse = 0;  // / sqrt(mean w²)

  bool fallback() const { return format != wanted; }
};

struct QuantizeReport {
  uint64_t input_bytes = 0;
  uint64_t file_bytes = 0;
  double effective_bpw = 0;
  double seconds = 0;
  std::vector<QuantizedTensor> tensors;
  std::vector<std::string> warnings;  // lines for whoever reads the result
};

/// Tensors are written in llama-quantize's order (those of no layer first, then by layer and name),
/// each padded to the alignment; metadata keeps its order. The bytes written do not depend on the
/// number of threads.
///
/// Errors: those of GgufFile::Open, OpenHuggingFace and Importance::Load; kInvalidArgument if input
/// and output are one file; kUnsupported for a quantised input without allow_requantize; kNonFinite
/// names the tensor and row; kIo; kInterrupted. Nothing but a complete file ever stands under
/// `out`.
QuantizeReport QuantizeFile(const std::filesystem::path& in, const std::filesystem::path& out,
                            const quant::Recipe& recipe, const QuantizeOptions& options);

}  // namespace crossover::engine
