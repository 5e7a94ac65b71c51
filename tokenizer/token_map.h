// A hash table from a token's text to its id: open addressing, keys are views into someone else's
// memory. std::unordered_map does the same, with a cache miss more for every look-up; a 150 000
// token vocabulary makes half a million of them while it loads.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace crossover::tokenizer {

/// A multiplicative hash, eight bytes a step; not meant to withstand an adversary.
inline uint64_t HashText(std::string_view text) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  uint64_t hash = text.size() * kMultiplier;
  const char* data = text.data();
  size_t left = text.size();
  const auto mix = [&](uint64_t word) {
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 32;
  };
  for (; left >= 8; data += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    mix(word);
  }
  if (left >= 4) {
    // Two halves that may overlap: cheaper than a copy of unknown length.
    uint32_t low, high;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + left - 4, 4);
    mix(uint64_t{high} << 32 | low);
  } else if (left > 0) {
    const auto byte = [data](size_t i) { return uint64_t{static_cast<uint8_t>(data[i])}; };
    mix(byte(0) << 16 | byte(left / 2) << 8 | byte(left - 1));
  }
  return hash;
}

class TokenMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// Room for `count` keys; more make it grow.
  explicit TokenMap(size_t count = 0);

  /// False, and nothing changed, if the key is there already. The text must outlive the map.
  bool Insert(std::string_view text, uint32_t id);
  /// kNone if absent.
  uint32_t Find(std::string_view text) const;

 private:
  struct Slot {
    uint64_t hash = 0;  // spares a look at the text, nearly always a cache miss, of other keys
    const char* data = nullptr;
    uint32_t size = 0;
    uint32_t id = kNone;
  };
  const Slot& Probe(std::string_view text, uint64_t hash) const;

  void Grow();

  std::vector<Slot> slots_;  // a power of two of them, at least half of them free
  size_t size_ = 0;
};

}  // namespace crossover::tokenizer
