// Reads little-endian values from a file's bytes, never past their end.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"

namespace crossover::engine {

static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies in memory");

/// `text` in quotes, clipped, with control bytes escaped, so that a hostile name cannot break an
/// error's one line.
std::string Quoted(std::string_view text);

class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string path)
      : bytes_(bytes), path_(std::move(path)) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }
  uint64_t size() const { return bytes_.size(); }
  const std::string& path() const { return path_; }

  /// `what` names the value in the error, should the file end before it.
  template <typename T>
  T Read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (remaining() < sizeof(T)) FailTruncated(what);
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }

  /// A view into the file.
  std::string_view ReadBytes(uint64_t length, std::string_view what);
  /// u64 length and that many bytes.
  std::string_view ReadString(std::string_view what);

  /// "FILE: offset N: what", the offset being `at`.
  [[noreturn]] void Fail(ErrorCode code, uint64_t at, const std::string& what) const;
  [[noreturn]] void FailTruncated(std::string_view what) const;

 private:
  std::span<const std::byte> bytes_;
  std::string path_;
  uint64_t offset_ = 0;  // ≤ bytes_.size()
};

}  // namespace crossover::engine
