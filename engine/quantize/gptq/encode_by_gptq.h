// A whole model by GPTQ: layer after layer, each seeing the text as the layers before it, quantised
// already, make it ("true sequential"), and within a layer q, k, v before attention's output before
// gate and up before down.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "engine/calibrate/chunks.h"
#include "engine/files/gguf.h"
#include "engine/quantize/gptq/encoded_journal.h"
#include "engine/quantize/tensor_encoder.h"

namespace crossover::engine {

struct GptqOptions {
  double damping = 0.01;  // of the mean of a Hessian's diagonal
  size_t threads = 1;
  std::filesystem::path journal;  // a folder for what is done, made if it is not there
  CalibrationProgress progress{};
};

class GptqTensors {
 public:
  explicit GptqTensors(EncodedJournal journal) : journal_(std::move(journal)) {}

  /// Of tasks[index]; null if it is not one of a layer's matrices that are quantised.
  const EncodedTensor* Find(size_t index) const {
    return tensors_[index] ? &*tensors_[index] : nullptr;
  }
  /// When the file that they are for is written.
  void RemoveJournal() { journal_.Remove(); }

 private:
  friend class GptqRun;

  EncodedJournal journal_;
  std::vector<std::optional<EncodedTensor>> tensors_;  // by task
};

/// Memory: the text's activations of one place, and of one matrix the Hessian, its factor and the
/// slab of rows that is worked on. Error(kUnsupported) for a file that no model runs from;
/// Error(kNonFinite, kInterrupted, kIo).
GptqTensors EncodeByGptq(std::shared_ptr<const GgufFile> file, std::span<const EncodeTask> tasks,
                         const CalibrationChunks& chunks, const GptqOptions& options);

}  // namespace crossover::engine
