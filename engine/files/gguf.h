// GGUF v2/v3 files, one or split over several: metadata and tensors as views into the mapping.
// Every offset, count and shape is checked here, so that what comes after can rely on them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/files/gguf_array.h"
#include "engine/files/mapped_file.h"
#include "quant/format.h"

namespace crossover::engine {

/// GGUF's value types with their numbers.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// One metadata value. Integers of any width are kept as int64/uint64, floats as double, with the
/// type they had. An array out of a file stays there (GgufArray); one that is made to be written is
/// a vector. gguf_array.h reads both.
struct GgufValue {
  GgufType type{};
  GgufType element{};  // of an array
  std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<std::string>,
               std::vector<int64_t>, std::vector<double>, GgufArray>
      value;
};

struct GgufTensor {
  std::string name;
  quant::Format format{};
  std::vector<uint64_t> shape;      // shape[0]: row length (input features); 1 to 4 dimensions
  std::span<const std::byte> data;  // whole, inside the mapping
  std::shared_ptr<const MappedFile> file;
  uint64_t offset = 0;  // of `data` in its file
  /// The matrix lies in the packed form (packed_file.h), which takes more bytes than its rows where
  /// they do not fill groups and units. Two dimensions, then.
  bool packed = false;
  /// Not 0: rows are stored as Hugging Face has them, in so many heads of two halves, whose rows
  /// GGUF's llama wants in turn (HalvedRow). Such a tensor is for a converter; no model runs on it.
  uint64_t halved_heads = 0;

  uint64_t elements() const;
  uint64_t rows() const { return shape.empty() ? 0 : elements() / shape[0]; }
};

/// Where row `row` of GGUF's order stands among rows whose heads, of `head_rows` rows, are stored
/// as two halves: 2i is row i of the head, 2i + 1 row i of its second half, so that the two
/// elements of a rotation are neighbours.
constexpr uint64_t HalvedRow(uint64_t row, uint64_t head_rows) {
  const uint64_t in_head = row % head_rows;
  return row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
}

class GgufFile {
 public:
  /// Opens `path`; if it is the first of a split model (NAME-00001-of-00003.gguf with split.count),
  /// its siblings too. Error(kCorruptFile, kUnsupported, kNotFound) names file, offset and what is
  /// off.
  static std::shared_ptr<const GgufFile> Open(const std::filesystem::path& path,
                                              LoadMode mode = LoadMode::kMmap);
  /// A file of one part that is in memory or mapped already. Error as Open.
  static std::shared_ptr<const GgufFile> Parse(std::shared_ptr<const MappedFile> mapping);

  /// What was read from somewhere else. Keys and names stand there once.
  static std::shared_ptr<const GgufFile> FromParts(
      std::string path, std::vector<std::pair<std::string, GgufValue>> metadata,
      std::vector<GgufTensor> tensors, std::vector<std::string> warnings = {});

  const std::string& path() const { return path_; }
  /// What the files that it was made of ask for in vain, a line each; none for a GGUF file.
  const std::vector<std::string>& warnings() const { return warnings_; }
  uint32_t version() const { return version_; }
  uint64_t file_bytes() const { return file_bytes_; }  // all parts
  uint64_t alignment() const { return alignment_; }

  /// In file order, as a writer wants them; split.* keys included.
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  const GgufValue* FindValue(std::string_view key) const;
  const GgufTensor* FindTensor(std::string_view name) const;

  // Typed look-ups: nullopt if absent; Error(kCorruptFile) naming the key if of another type or out
  // of range. Integers of any width and sign are accepted where their value fits.
  std::optional<uint64_t> FindUint(std::string_view key) const;
  std::optional<double> FindFloat(std::string_view key) const;
  std::optional<bool> FindBool(std::string_view key) const;
  std::optional<std::string_view> FindString(std::string_view key) const;

  // The same, Error(kCorruptFile) naming the missing key.
  uint64_t Uint(std::string_view key) const;
  std::string_view String(std::string_view key) const;

 private:
  friend class GgufReader;
  GgufFile() = default;

  std::string path_;
  uint32_t version_ = 3;
  uint64_t file_bytes_ = 0;
  uint64_t alignment_ = 32;
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::map<std::string, size_t, std::less<>> key_index_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
  std::vector<std::string> warnings_;
};

/// Effective bits per weight: all bits stored for tensors of two or more dimensions / their
/// weights.
double EffectiveBpw(const GgufFile& file);

}  // namespace crossover::engine
