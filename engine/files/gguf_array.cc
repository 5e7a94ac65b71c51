#include "engine/files/gguf_array.h"

#include <algorithm>
#include <cstring>
#include <variant>

#include "engine/files/gguf.h"

namespace crossover::engine {
namespace {

template <class Stored, class Wide>
std::vector<Wide> Widened(const GgufArray& array, uint64_t most) {
  std::vector<Wide> wide(std::min(array.count, most));
  const std::byte* from = array.bytes.data();
  for (Wide& value : wide) {
    Stored stored;
    std::memcpy(&stored, from, sizeof stored);
    from += sizeof stored;
    value = static_cast<Wide>(stored);
  }
  return wide;
}

/// Empty if the element type is no number that Wide stands for.
template <class Wide>
std::optional<std::vector<Wide>> Integers(GgufType element, const GgufArray& array, uint64_t most) {
  switch (element) {
    case GgufType::kBool:
    case GgufType::kU8:
      return Widened<uint8_t, Wide>(array, most);
    case GgufType::kI8:
      return Widened<int8_t, Wide>(array, most);
    case GgufType::kU16:
      return Widened<uint16_t, Wide>(array, most);
    case GgufType::kI16:
      return Widened<int16_t, Wide>(array, most);
    case GgufType::kU32:
      return Widened<uint32_t, Wide>(array, most);
    case GgufType::kI32:
      return Widened<int32_t, Wide>(array, most);
    case GgufType::kU64:
      return Widened<uint64_t, Wide>(array, most);
    case GgufType::kI64:
      return Widened<int64_t, Wide>(array, most);
    default:
      return std::nullopt;
  }
}

template <class To, class From>
std::vector<To> Begin(const std::vector<From>& all, uint64_t most) {
  const auto count = static_cast<ptrdiff_t>(std::min<uint64_t>(all.size(), most));
  return {all.begin(), all.begin() + count};
}

}  // namespace

bool GgufArray::operator==(const GgufArray& other) const {
  return count == other.count && std::ranges::equal(bytes, other.bytes);
}

uint64_t ArrayCount(const GgufValue& value) {
  if (const auto* stored = std::get_if<GgufArray>(&value.value)) return stored->count;
  if (const auto* v = std::get_if<std::vector<int64_t>>(&value.value)) return v->size();
  if (const auto* v = std::get_if<std::vector<double>>(&value.value)) return v->size();
  if (const auto* v = std::get_if<std::vector<std::string>>(&value.value)) return v->size();
  return 0;
}

std::optional<std::vector<int64_t>> ReadIntegers(const GgufValue& value, uint64_t most) {
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value.value)) {
    return Begin<int64_t>(*numbers, most);
  }
  const auto* stored = std::get_if<GgufArray>(&value.value);
  return stored ? Integers<int64_t>(value.element, *stored, most) : std::nullopt;
}

std::optional<std::vector<double>> ReadNumbers(const GgufValue& value, uint64_t most) {
  if (const auto* stored = std::get_if<GgufArray>(&value.value)) {
    if (value.element == GgufType::kF32) return Widened<float, double>(*stored, most);
    if (value.element == GgufType::kF64) return Widened<double, double>(*stored, most);
    return Integers<double>(value.element, *stored, most);
  }
  if (const auto* numbers = std::get_if<std::vector<double>>(&value.value)) {
    return Begin<double>(*numbers, most);
  }
  const auto* numbers = std::get_if<std::vector<int64_t>>(&value.value);
  if (numbers == nullptr) return std::nullopt;
  return Begin<double>(*numbers, most);
}

std::optional<std::vector<std::string>> ReadStrings(const GgufValue& value, uint64_t most) {
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value.value)) {
    return Begin<std::string>(*texts, most);
  }
  const auto* stored = std::get_if<GgufArray>(&value.value);
  if (stored == nullptr || value.element != GgufType::kString) return std::nullopt;
  std::vector<std::string> texts(std::min(stored->count, most));
  const auto* from = reinterpret_cast<const char*>(stored->bytes.data());
  for (std::string& text : texts) {
    uint64_t length;
    std::memcpy(&length, from, sizeof length);
    text.assign(from + sizeof length, length);
    from += sizeof length + length;
  }
  return texts;
}

}  // namespace crossover::engine
