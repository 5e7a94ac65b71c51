// Tensors that a long piece of work has encoded so far, a file each in a folder of its own: what a
// killed run goes on from.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/files/mapped_file.h"
#include "engine/quantize/gptq/nearest_plane.h"

namespace crossover::engine {

struct EncodedTensor {
  std::shared_ptr<const MappedFile> file;
  std::span<const std::byte> bytes;  // of the blocks
  GptqLoss loss;
};

class EncodedJournal {
 public:
  /// Makes the folder, or goes on with one of the same identity; one of another is begun anew.
  /// Error(kInvalidArgument) if there is a folder that is no journal; Error(kIo).
  EncodedJournal(std::filesystem::path folder, const std::string& identity);

  /// Nothing if the tensor is not there yet.
  std::optional<EncodedTensor> Find(size_t index, size_t bytes) const;
  /// Stands there whole or not at all, and stays when the machine goes down.
  EncodedTensor Add(size_t index, std::span<const std::byte> bytes, const GptqLoss& loss);
  /// The folder, with all in it.
  void Remove();

 private:
  std::filesystem::path PathOf(size_t index) const;

  std::filesystem::path folder_;
};

}  // namespace crossover::engine
