// SafeTensors files: a JSON header of names, types, shapes and places, then the tensors' bytes.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/mapped_file.h"

namespace crossover::engine {

struct SafetensorsTensor {
  std::string type;                 // "F32", "F16", "BF16", "I64" …, as the file says
  std::vector<uint64_t> shape;      // outermost first: [rows, columns]; empty: a single number
  std::span<const std::byte> data;  // whole, inside the mapping
  std::shared_ptr<const MappedFile> file;
  uint64_t offset = 0;  // of `data` in its file
};

/// By name, over all files of a model.
using SafetensorsMap = std::map<std::string, SafetensorsTensor, std::less<>>;

/// One file. Every length, place and shape is checked: no tensor reaches beyond the data, overlaps
/// another, or has other bytes than its type and shape ask for. Error(kCorruptFile, kUnsupported)
/// names file and tensor.
SafetensorsMap ParseSafetensors(std::shared_ptr<const MappedFile> mapping);

/// DIR/model.safetensors, or the files that DIR/model.safetensors.index.json lists.
/// Error(kNotFound) if there is neither, or a listed file is absent; Error(kCorruptFile) if a
/// tensor is not in the file that the index names for it.
SafetensorsMap OpenSafetensors(const std::filesystem::path& directory,
                               LoadMode mode = LoadMode::kMmap);

}  // namespace crossover::engine
