// What a packed data file unpacks to, as long as a data file could.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace crossover::evals {

class UnpackedText {
 public:
  /// `program` unpacks such files by hand. `source` and `program` outlive this.
  UnpackedText(size_t packed_bytes, std::string_view source, std::string_view program);

  /// Error(kInvalidArgument) where it gets longer than a file of so many packed bytes may unpack
  /// to.
  void Append(std::string_view piece);
  std::string Take() { return std::move(text_); }

 private:
  std::string_view source_, program_;
  size_t most_;
  std::string text_;
};

/// Error(kInvalidArgument): "source: what; fetch the file again".
[[noreturn]] void FailUnpacking(std::string_view source, std::string_view what);

}  // namespace crossover::evals
