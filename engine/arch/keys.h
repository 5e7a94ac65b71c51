// The metadata keys of one architecture in one file, with their checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/files/gguf.h"

namespace crossover::engine {

/// Keys are given without the prefix "<general.architecture>.". All throw Error(kCorruptFile) with
/// file, key and value.
class Keys {
 public:
  explicit Keys(const GgufFile& file);

  /// 1 … 2^30; an array, as files with layers of different sizes have it, must be of one value.
  size_t Size(const std::string& key) const;
  size_t Size(const std::string& key, size_t fallback) const;
  /// The same, and 0, which stands for "none".
  size_t SizeOrNone(const std::string& key, size_t fallback) const;
  /// Within 1e-30 … 1e30, so that float32 and its reciprocal hold it.
  double Positive(const std::string& key) const;
  double Positive(const std::string& key, double fallback) const;
  /// The same, and 0, which stands for "none".
  double PositiveOrNone(const std::string& key, double fallback) const;

  bool Bool(const std::string& key, bool fallback) const;

  bool Has(const std::string& key) const { return file_.FindValue(prefix_ + key) != nullptr; }
  const GgufValue* Value(const std::string& key) const { return file_.FindValue(prefix_ + key); }
  std::string_view String(const std::string& key, std::string_view fallback) const;

  [[noreturn]] void Fail(const std::string& key, const std::string& what,
                         ErrorCode code = ErrorCode::kCorruptFile) const;

 private:
  std::optional<uint64_t> Find(const std::string& key) const;

  const GgufFile& file_;
  std::string prefix_;
};

}  // namespace crossover::engine
