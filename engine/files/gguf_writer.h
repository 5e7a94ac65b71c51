// Writes a GGUF v3 file: metadata and tensor infos at once, then the tensors' bytes as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/output_file.h"
#include "engine/files/gguf.h"

namespace crossover::engine {

struct GgufTensorInfo {
  std::string name;  // 1 to 63 bytes
  quant::Format format{};
  std::vector<uint64_t> shape;  // shape[0]: row length, a multiple of the format's block
  bool packed = false;          // see GgufTensor

  uint64_t bytes() const;
};

/// Tensors lie in the order given, each padded to the alignment (llama.cpp insists on that). The
/// file appears under its name with Commit; without it nothing is left.
class GgufWriter {
 public:
  /// The alignment is general.alignment of `metadata`, or 32. Error(kIo) of OutputFile;
  /// Error(kInvalidArgument) for infos that no reader would take.
  GgufWriter(const std::filesystem::path& path,
             const std::vector<std::pair<std::string, GgufValue>>& metadata,
             std::vector<GgufTensorInfo> tensors);

  /// The next bytes of the tensors, in their order and in any pieces that end with a tensor.
  void Append(std::span<const std::byte> bytes);
  /// Error(kInvalidArgument) if bytes are missing.
  void Commit();
  uint64_t size() const { return file_.size(); }

 private:
  OutputFile file_;
  std::vector<GgufTensorInfo> tensors_;
  uint64_t alignment_ = 32;
  size_t current_ = 0;    // the tensor being written
  uint64_t written_ = 0;  // of its bytes
};

}  // namespace crossover::engine
