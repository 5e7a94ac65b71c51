// What an importance matrix says of a model's tensors, as the encoders take it, and what it leaves
// unsaid.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/files/gguf.h"
#include "engine/quantize/importance.h"

namespace crossover::engine {

struct TensorImportance {
  /// [experts · columns], all > 0, with FillUnseenColumns applied to each expert; empty: the tensor
  /// is rounded without.
  std::vector<float> columns;
  uint64_t measured = 0;  // values that the matrix has for the tensor; 0: it does not name it
  uint64_t unseen = 0;    // of these, columns that no token reached
};

/// Error(kInvalidArgument) if the matrix has another number of values for the tensor.
TensorImportance ImportanceOf(const Importance& importance, const GgufTensor& tensor);

/// Error(kInvalidArgument) if the file has none of the tensors that the matrix measures: a matrix
/// of another model would weigh nothing, or in part what has the same name by chance. `path` names
/// it.
void CheckNames(const Importance& importance, const GgufFile& file, const std::string& path);

/// ImportanceOf for many, and one line about all that the matrix leaves unsaid.
class ImportanceReport {
 public:
  void Add(const GgufTensor& tensor, const TensorImportance& importance);
  /// "the importance matrix PATH says nothing of …; has no data …", without a line's end; nullopt
  /// if nothing is amiss. The embedding and the output matrix are named only beside others:
  /// they are hardly ever measured.
  std::optional<std::string> Warning(const std::string& path) const;

 private:
  std::vector<std::string> unnamed_;  // tensors that the matrix does not name
  std::vector<std::string> empty_;    // those without data for any column
  std::vector<std::string> partial_;  // those without data for some
  uint64_t unseen_ = 0;               // columns of the last
  uint64_t columns_ = 0;
};

}  // namespace crossover::engine
