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
  for (size_t i = 0; i < weights; i += T::kBlockWeights) {
    if constexpr (HasParts<T>) {
      DecodeParts<T>(*block++, out + i);
    } else {
      T::Decode(*block++, out + i);
    }
  }
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

/// Ids in ascending order, each with its place in the list: matrix products look formats up.
struct Place {
  uint32_t id;
  uint32_t index;
};
constexpr std::array<Place, AllFormats::kSize> kPlaces = [] {
  std::array<Place, AllFormats::kSize> places{};
  for (size_t i = 0; i < places.size(); ++i) {
    places[i] = {static_cast<uint32_t>(kFormats[i].format), static_cast<uint32_t>(i)};
  }
  std::ranges::sort(places, {}, &Place::id);
  return places;
}();

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

std::span<const FormatInfo> Formats() { return kFormats; }

const FormatInfo& Info(Format format) {
  const FormatInfo* info = FindFormat(static_cast<uint32_t>(format));
  assert(info != nullptr);  // numbers out of files become a Format by FindFormat alone
  return *info;
}

const FormatInfo* FindFormat(uint32_t ggml_type) {
  const auto* found = std::ranges::lower_bound(kPlaces, ggml_type, {}, &Place::id);
  if (found == kPlaces.end() || found->id != ggml_type) return nullptr;
  return &kFormats[found->index];
}

const FormatInfo* FindFormat(std::string_view name) {
  const auto* found = std::ranges::find_if(kFormats, [=](const FormatInfo& info) {
    return std::ranges::equal(info.name, name, {}, Lower, Lower);
  });
  return found == kFormats.end() ? nullptr : found;
}

}  // namespace crossover::quant
