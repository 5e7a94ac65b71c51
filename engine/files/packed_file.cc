#include "engine/files/packed_file.h"

#include <fmt/format.h>

#include "base/error.h"
#include "kernels/packed/pack.h"

namespace crossover::engine {

uint64_t PackedTensorBytes(quant::Format format, uint64_t cols, uint64_t rows) {
  return kernels::PackedBytes({format, nullptr, rows, cols});
}

bool RunsPacked(const GgufFile& file, const GgufTensor& tensor) {
  return RunsPacked(file, tensor, tensor.format);
}

bool RunsPacked(const GgufFile& file, const GgufTensor& tensor, quant::Format format) {
  if (tensor.shape.size() != 2 || !kernels::HasPackedForm(format)) return false;
  return tensor.name != "token_embd.weight" || file.FindTensor("output.weight") == nullptr;
}

std::vector<std::pair<std::string, GgufValue>> PackedMetadata() {
  const auto entry = [](std::string_view key, uint64_t value) {
    return std::pair(std::string(key), GgufValue{GgufType::kU32, {}, value});
  };
  return {entry("general.alignment", kPackedAlignment), entry(kPackedLayoutKey, kPackedLayout),
          entry(kPackedRowsKey, kernels::kPackedRows)};
}

void CheckPackedLayout(const GgufFile& file) {
  const uint64_t layout = file.Uint(kPackedLayoutKey);
  const uint64_t rows = file.Uint(kPackedRowsKey);
  if (layout != kPackedLayout || rows != kernels::kPackedRows) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: matrices are packed in layout {} of {} rows, and this version of "
                            "Crossover reads layout {} of {}; pack the model it was made from "
                            "again: crossover quantize --packed",
                            file.path(), layout, rows, kPackedLayout, kernels::kPackedRows));
  }
  if (file.alignment() % kPackedAlignment != 0) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: holds packed matrices, but general.alignment is {}, no multiple "
                            "of {}; the file is damaged",
                            file.path(), file.alignment(), kPackedAlignment));
  }
}

kernels::Matrix MatrixOf(const GgufTensor& tensor) {
  return {tensor.format, tensor.data.data(), tensor.rows(), tensor.shape[0],
          tensor.packed ? kernels::Layout::kPacked : kernels::Layout::kRows};
}

std::span<const std::byte> MatrixPacker::Pack(quant::Format format, uint64_t cols,
                                              std::span<const std::byte> rows) {
  const kernels::Matrix matrix{format, rows.data(),
                               rows.size() / quant::Info(format).row_bytes(cols), cols};
  const size_t bytes = kernels::PackedBytes(matrix);
  if (bytes > room_) {
    buffer_ = kernels::AllocateBytes(bytes);
    room_ = buffer_ == nullptr ? 0 : bytes;
    if (room_ == 0) {
      throw Error(ErrorCode::kOutOfMemory, fmt::format("no memory for {} packed bytes", bytes));
    }
  }
  team_.Run([&](const kernels::Worker& worker) { kernels::Pack(worker, matrix, buffer_.get()); });
  return {buffer_.get(), bytes};
}

}  // namespace crossover::engine
