// The packed form of matrices (kernels/packed/spec.h) in GGUF files of ours: docs/formats.md,
// "Packed files". A packed tensor has its format's type id with the top bit set, which other
// readers know no such type for; two keys say which layout the file has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/files/gguf.h"
#include "kernels/huge_pages.h"
#include "kernels/matmul.h"
#include "kernels/team.h"

namespace crossover::engine {

inline constexpr uint32_t kPackedTypeBit = 0x80000000u;
/// Raised whenever the bytes of any packed matrix change (packed_file_test.cc notices).
inline constexpr uint64_t kPackedLayout = 1;
/// Kernels load whole cache lines.
inline constexpr uint64_t kPackedAlignment = 64;
inline constexpr std::string_view kPackedLayoutKey = "crossover.packed.layout";
inline constexpr std::string_view kPackedRowsKey = "crossover.packed.rows";

/// Bytes of a packed tensor: rows rounded up to 16, columns to whole units.
uint64_t PackedTensorBytes(quant::Format format, uint64_t cols, uint64_t rows);

/// Whether a pass multiplies with this matrix in the packed form, once it is packed. An embedding
/// is looked up by rows, and is a matrix of the pass only where there is no other output matrix.
bool RunsPacked(const GgufFile& file, const GgufTensor& tensor);
/// The same, stored in another format.
bool RunsPacked(const GgufFile& file, const GgufTensor& tensor, quant::Format format);

/// What a file with packed tensors says, general.alignment included.
std::vector<std::pair<std::string, GgufValue>> PackedMetadata();

/// Error(kUnsupported) if the file's layout is another program version's, Error(kCorruptFile) if it
/// does not say.
void CheckPackedLayout(const GgufFile& file);

/// The matrix that a two-dimensional tensor is.
kernels::Matrix MatrixOf(const GgufTensor& tensor);

/// Packs pieces of matrices by all threads.
class MatrixPacker {
 public:
  explicit MatrixPacker(size_t threads) : team_(threads) {}

  /// The packed form of rows as a file has them: a multiple of 16 of them, or a matrix's last.
  /// Valid until the next call. Error(kOutOfMemory).
  std::span<const std::byte> Pack(quant::Format format, uint64_t cols,
                                  std::span<const std::byte> rows);

 private:
  kernels::Team team_;
  kernels::Bytes buffer_;
  size_t room_ = 0;
};

}  // namespace crossover::engine
