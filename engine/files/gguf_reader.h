// Parses one GGUF file. GgufFile::Open puts the parts of a split model together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/files/gguf_cursor.h"

namespace crossover::engine {

class GgufReader {
 public:
  /// All metadata and tensors of one file, checked; Error as GgufFile::Open.
  static std::shared_ptr<GgufFile> Read(std::shared_ptr<const MappedFile> mapping);
  /// Adds another part's tensors (its metadata repeats the first's or is split.* only).
  static void AppendPart(GgufFile& whole, const GgufFile& part);

 private:
  struct TensorInfo {
    GgufTensor tensor;
    uint64_t at = 0;      // of the info in the file, for messages
    uint64_t offset = 0;  // relative to the data section
    uint64_t bytes = 0;
  };

  GgufReader(GgufFile& file, std::shared_ptr<const MappedFile> mapping);

  void CheckMagic();
  void ReadHeader();
  void ReadMetadata();
  GgufValue ReadValue(std::string_view key, uint64_t at);
  GgufValue ReadArray(std::string_view key, uint64_t at);
  void ReadAlignment();
  void ReadTensorInfos();
  TensorInfo ReadTensorInfo();
  void ReadShape(TensorInfo& info);
  void CheckPlaces(std::vector<TensorInfo>& infos) const;

  GgufFile& file_;
  std::shared_ptr<const MappedFile> mapping_;
  GgufCursor cursor_;
  uint64_t tensor_count_ = 0;
  uint64_t value_count_ = 0;
};

}  // namespace crossover::engine
