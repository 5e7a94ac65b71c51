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
  if (left > 0) {
    uint64_t word = 0;
    std::memcpy(&word, data, left);
    mix(word);
  }
  return hash;
}

class TokenMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// For at most `count` keys.
  explicit TokenMap(size_t count = 0);

  /// False, and nothing changed, if the key is there already. The text must outlive the map.
  bool Insert(std::string_view text, uint32_t id);
  /// kNone if absent.
  uint32_t Find(std::string_view text) const;

 private:
  struct Slot {
    const char* data = nullptr;
    uint32_t size = 0;
    uint32_t id = kNone;
  };
  const Slot& Probe(std::string_view text) const;

  std::vector<Slot> slots_;  // a power of two of them
};

}  // namespace crossover::tokenizer
