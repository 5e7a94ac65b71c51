// GGUF or a Hugging Face directory in, GGUF with other weight formats out: streaming, all threads,
// temporary file and rename.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "quant/recipe.h"

namespace crossover::engine {

struct CalibrationChunks;

/// How blocks are found (docs/methods.md):
///   kPlain  by each format's own search: llama.cpp's, of the uniform family ours
///   kRtn    round to nearest in a group's range, the papers' baseline; G2 … G8
///   kOpt    least squares of scale and zero point, weighed by the importance; G2 … G8
///   kGptq   kPlain's scales, and codes that make up for each other's errors on a text; what does
///           not lie in a layer (embedding, output) as with kPlain
enum class Method : uint8_t { kPlain, kRtn, kOpt, kGptq };

struct QuantizeOptions {
  quant::RecipeOptions recipe;
  Method method = Method::kPlain;
  /// The text of kGptq.
  std::shared_ptr<const CalibrationChunks> calibration{};
  /// Called with steps of kGptq done and in all, before `progress` is; may be null.
  std::function<void(uint64_t done, uint64_t total)> method_progress{};
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
  /// Of kGptq: what its codes lose on the text, and kPlain's of the same scales; 0 if not chosen
  /// so.
  double gptq_loss = 0;
  double plain_loss = 0;

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
/// kGptq keeps what is done in the folder OUT.gptq, from which the same call goes on after a kill,
/// and removes it at the end.
///
/// Errors: those of GgufFile::Open, OpenHuggingFace and Importance::Load; kInvalidArgument if input
/// and output are one file; kUnsupported for a quantised input without allow_requantize; kNonFinite
/// names the tensor and row; kIo; kInterrupted. Nothing but a complete file ever stands under
/// `out`.
QuantizeReport QuantizeFile(const std::filesystem::path& in, const std::filesystem::path& out,
                            const quant::Recipe& recipe, const QuantizeOptions& options);

}  // namespace crossover::engine
