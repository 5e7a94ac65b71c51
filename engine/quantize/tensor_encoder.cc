#include "engine/quantize/tensor_encoder.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/files/gguf_cursor.h"
#include "kernels/start_threads.h"

namespace crossover::engine {
namespace {

// Weights in a chunk: enough work for many threads, and 32 MiB of F16 that stay in memory.
constexpr uint64_t kChunkWeights = uint64_t{16} << 20;
// Chunks hold whole groups of rows that pack together.
constexpr uint64_t kRowMultiple = 16;
// Weights that a thread takes at a time; short rows come in groups.
constexpr uint64_t kGrainWeights = uint64_t{16} << 10;

bool AllFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

[[noreturn]] void FailRow(const GgufTensor& tensor, uint64_t row, const std::string& what) {
  throw Error(ErrorCode::kNonFinite, fmt::format("{}: tensor {}, row {}: {}", tensor.file->path(),
                                                 Quoted(tensor.name), row, what));
}

// The bytes as they are stored are the bytes to write.
bool IsUnchanged(const EncodeTask& task) {
  return task.tensor->format == task.target && task.tensor->halved_heads == 0;
}

// What a thread needs for one row.
struct RowBuffers {
  explicit RowBuffers(size_t columns) : weights(columns), decoded(columns) {}
  std::vector<float> weights, decoded;
};

}  // namespace

TensorEncoder::TensorEncoder(size_t threads) : threads_(threads) {
  kernels::RequireThreads(threads);
}

EncodeError TensorEncoder::Encode(const EncodeTask& task, const Sink& sink) {
  const GgufTensor& tensor = *task.tensor;
  const uint64_t columns = tensor.shape[0];
  const size_t source_row = quant::Info(tensor.format).row_bytes(columns);
  const uint64_t chunk_rows =
      std::max(kChunkWeights / columns / kRowMultiple, uint64_t{1}) * kRowMultiple;
  EncodeError total;
  for (uint64_t first = 0; first < tensor.rows(); first += chunk_rows) {
    ThrowIfInterrupted();
    const uint64_t rows = std::min(chunk_rows, tensor.rows() - first);
    const size_t begin = first * source_row;
    const size_t end = (first + rows) * source_row;
    // The next chunk comes in from the disk while this one is worked on.
    tensor.file->WillNeed(tensor.offset + end, end - begin);
    EncodeRows(task, first, rows);
    const EncodeError error = Collect(task, first);
    total.squared_error += error.squared_error;
    total.squared_weight += error.squared_weight;
    sink(IsUnchanged(task) ? tensor.data.subspan(begin, end - begin)
                           : std::span<const std::byte>(out_));
    tensor.file->Forget(tensor.offset + begin, end - begin);
  }
  return total;
}

void TensorEncoder::EncodeRows(const EncodeTask& task, uint64_t first, uint64_t rows) {
  const GgufTensor& tensor = *task.tensor;
  const quant::FormatInfo& source = quant::Info(tensor.format);
  const quant::FormatInfo& target = quant::Info(task.target);
  const bool copy = tensor.format == task.target;
  const uint64_t columns = tensor.shape[0];
  const uint64_t expert_rows = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  const uint64_t experts = task.importance.size() / columns;
  const size_t target_row = target.row_bytes(columns);
  const uint64_t grain = std::max<uint64_t>(1, kGrainWeights / columns);

  results_.assign(rows, {});
  const uint64_t head_rows = tensor.halved_heads == 0 ? 0 : tensor.rows() / tensor.halved_heads;
  out_.resize(IsUnchanged(task) ? 0 : rows * target_row);
  // Outside of the region, which no exception may leave.
  std::vector<RowBuffers> all_buffers(threads_, RowBuffers(columns));
#pragma omp parallel num_threads(static_cast <int>(threads_))
  {
    RowBuffers& buffers = all_buffers[static_cast<size_t>(omp_get_thread_num())];
#pragma omp for schedule(dynamic, grain)
    for (uint64_t r = 0; r < rows; ++r) {
      const uint64_t row = first + r;
      RowResult& result = results_[r];
      const uint64_t stored = head_rows == 0 ? row : HalvedRow(row, head_rows);
      const std::byte* from = tensor.data.data() + stored * source.row_bytes(columns);
      std::byte* blocks = out_.empty() ? nullptr : out_.data() + r * target_row;
      source.decode(from, columns, buffers.weights.data());
      result.finite = AllFinite(buffers.weights);
      if (copy && head_rows != 0) std::copy_n(from, target_row, blocks);
      if (copy || !result.finite) continue;

      // Tensors with a fourth dimension count their slices on.
      const float* importance =
          experts == 0 ? nullptr : task.importance.data() + row / expert_rows % experts * columns;
      if (!task.encoded.empty()) {
        std::ranges::copy(task.encoded.subspan(row * target_row, target_row), blocks);
      } else if (task.encode != nullptr) {
        task.encode(target, buffers.weights, importance, blocks);
      } else {
        target.encode(buffers.weights.data(), columns, importance, blocks);
      }
      target.decode(blocks, columns, buffers.decoded.data());
      result.fits = AllFinite(buffers.decoded);
      for (uint64_t c = 0; c < columns; ++c) {
        const double w = buffers.weights[c];
        const double error = w - buffers.decoded[c];
        result.squared_error += error * error;
        result.squared_weight += w * w;
      }
    }
  }
}

EncodeError TensorEncoder::Collect(const EncodeTask& task, uint64_t first) const {
  EncodeError total;
  for (size_t r = 0; r < results_.size(); ++r) {
    if (!results_[r].finite) {
      FailRow(*task.tensor, first + r, "holds a NaN or an infinity; the model is broken");
    }
    if (!results_[r].fits) {
      FailRow(*task.tensor, first + r,
              fmt::format("holds weights too large for {}; keep this tensor with --tensor-type",
                          quant::Info(task.target).name));
    }
    total.squared_error += results_[r].squared_error;
    total.squared_weight += results_[r].squared_weight;
  }
  return total;
}

}  // namespace crossover::engine
