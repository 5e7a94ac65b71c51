#include "quant/format.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "quant/format_list.h"

namespace crossover::quant {
namespace {

template <WeightFormat T>
void DecodeRow(const void* blocks, size_t weights, float* out) {
  const auto* block = static_cast<const typename T::Block*>(blocks);
  for (size_t i = 0; i < weights; i += T::kBlockWeights) T::Decode(*block++, out + i);
}

template <WeightFormat T>
void EncodeRow(const float* row, size_t weights, const float* importance, void* blocks) {
  T::EncodeRow({row, weights}, importance, static_cast<typename T::Block*>(blocks));
}

constexpr std::array<FormatInfo, AllFormats::kSize> kFormats = [] {
  std::array<FormatInfo, AllFormats::kSize> infos{};
  size_t n = 0;
  ForEachFormat([&]<class T>() {
    infos[n++] = {T::kFormat,    T::kName,     T::kBlockWeights, sizeof(typename T::Block),
                  T::kQuantized, DecodeRow<T>, EncodeRow<T>};
  });
  return infos;
}();

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

const FormatInfo* FindIf(auto&& matches) {
  const auto* found = std::ranges::find_if(kFormats, matches);
  return found == kFormats.end() ? nullptr : found;
}

}  // namespace

std::span<const FormatInfo> Formats() { return kFormats; }

const FormatInfo& Info(Format format) {
  const FormatInfo* info = FindFormat(static_cast<uint32_t>(format));
  assert(info != nullptr);
  return *info;
}

const FormatInfo* FindFormat(uint32_t ggml_type) {
  return FindIf([=](const FormatInfo& info) { return info.format == Format{ggml_type}; });
}

const FormatInfo* FindFormat(std::string_view name) {
  return FindIf([=](const FormatInfo& info) {
    return std::ranges::equal(info.name, name, {}, Lower, Lower);
  });
}

}  // namespace crossover::quant
