// Re-encodes one tensor in chunks of rows by all threads, and measures what that lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/files/gguf.h"

namespace crossover::engine {

struct EncodeTask {
  const GgufTensor* tensor = nullptr;
  quant::Format target{};
  /// [experts][columns], an expert being a slice of the third dimension; empty: none.
  std::span<const float> importance = {};
  /// Instead of the format's own search; null: that.
  void (*encode)(const quant::FormatInfo& target, std::span<const float> row,
                 const float* importance, void* blocks) = nullptr;
  /// The whole tensor, encoded already: only measured and handed on. Empty: not yet.
  std::span<const std::byte> encoded = {};
};

/// Over all weights of a tensor: Σ (w - ŵ)² and Σ w², ŵ being what decoding the written blocks
/// gives.
struct EncodeError {
  double squared_error = 0;
  double squared_weight = 0;
};

class TensorEncoder {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  /// Error(kOutOfMemory) if so many threads cannot be started.
  explicit TensorEncoder(size_t threads);

  /// Hands the tensor's bytes in its target format to `sink`, chunk by chunk of whole rows, a
  /// multiple of 16 of them but for the last; a tensor that has the
  /// target format already goes through unchanged. The result does not depend on the number of
  /// threads. Error(kNonFinite) names tensor and row; Error(kInterrupted) between chunks.
  EncodeError Encode(const EncodeTask& task, const Sink& sink);

 private:
  struct RowResult {
    double squared_error = 0;
    double squared_weight = 0;
    bool finite = true;  // the row as read
    bool fits = true;    // the row as decoded again
  };

  void EncodeRows(const EncodeTask& task, uint64_t first, uint64_t rows);
  EncodeError Collect(const EncodeTask& task, uint64_t first) const;

  size_t threads_;
  std::vector<std::byte> out_;      // a chunk's rows in the target format
  std::vector<RowResult> results_;  // by row of the chunk
};

}  // namespace crossover::engine
