// What a weight format is: one small struct per format (in a folder of its own) states the block
// and its scalar encode and decode; this header shows all of them to code that is not templated on
// one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace crossover::quant {

/// A format is named by its GGUF tensor type id (ggml's numbers; ours start at 0x43520000).
/// Constants live with the formats: `Q4_K::kFormat`.
enum class Format : uint32_t {};

/// The run-time face of one row of the list in format_list.h.
struct FormatInfo {
  Format format;
  std::string_view name;  // "Q4_K"
  size_t block_weights;   // weights per block: 1, 32 or 256
  size_t block_bytes;
  bool quantized;  // false for F32, F16, BF16

  /// Scalar reference. `weights` is a multiple of block_weights.
  void (*decode)(const void* blocks, size_t weights, float* out);
  /// Encodes one row. `importance` (one non-negative factor a column: the mean squared activation)
  /// may be null; zeros first go through FillUnseenColumns. Non-finite input is the caller's to
  /// reject. Finite values far beyond a half's range give infinite scales or, where their squares
  /// overflow a float, zeroed sub-blocks: the caller's measured error shows it.
  void (*encode)(const float* row, size_t weights, const float* importance, void* blocks);

  /// All bits stored, scales included, per weight.
  double bits_per_weight() const {
    return 8.0 * static_cast<double>(block_bytes) / static_cast<double>(block_weights);
  }
  size_t row_bytes(size_t weights) const { return weights / block_weights * block_bytes; }
};

/// All formats, in the list's order.
std::span<const FormatInfo> Formats();
/// Precondition: `format` is in the list.
const FormatInfo& Info(Format format);
/// By GGUF type id read from a file; null if Crossover does not know it.
const FormatInfo* FindFormat(uint32_t ggml_type);
/// By name, case-insensitive; null if unknown.
const FormatInfo* FindFormat(std::string_view name);

}  // namespace crossover::quant
