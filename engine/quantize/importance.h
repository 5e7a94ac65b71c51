// Importance matrices (llama.cpp's imatrix): for each weight tensor the mean squared activation of
// every input column, measured on some text. Encoders weigh a column's error by it.
#pragma once

#include <cstddef>
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

class Importance {
 public:
  /// Reads both forms: GGUF (NAME.in_sum2 and NAME.counts) and the older .dat.
  /// Error(kNotFound, kIo, kCorruptFile, kNonFinite) names file, and entry or offset.
  static Importance Load(const std::filesystem::path& path);

  /// [experts · columns], finite and ≥ 0, a column that no token reached being 0; empty if the file
  /// does not name the tensor.
  std::span<const float> Find(std::string_view tensor) const;

  size_t entries() const { return columns_.size(); }
  std::vector<std::string> names() const;  // of the tensors, sorted
  /// The text it was measured on, as the file says; may be empty.
  const std::string& dataset() const { return dataset_; }
  uint64_t chunks() const { return chunks_; }  // 0: the file does not say

 private:
  void ReadGguf(std::shared_ptr<const MappedFile> file);
  void ReadLegacy(const MappedFile& file);
  void Check(const std::string& path) const;

  std::map<std::string, std::vector<float>, std::less<>> columns_;
  std::string dataset_;
  uint64_t chunks_ = 0;
};

}  // namespace crossover::engine
