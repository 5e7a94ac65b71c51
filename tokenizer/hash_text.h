// Hashes that a file cannot aim at: its author chooses the keys of a vocabulary's tables, and with
// a known hash could let them all meet in one slot.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace crossover::tokenizer {

/// What only this process knows. Nothing but the places of keys in a table depends on it.
struct HashKey {
  uint64_t begin = 0;
  uint64_t factor = 1;  // odd

  /// Drawn by the system when it is first asked for, then always the same. Thread-safe.
  static HashKey OfProcess();
};

/// Both halves of the product. Which bits a change of `word` turns depends on the factor, which a
/// multiplication by a known constant would not hide.
inline uint64_t MixWord(uint64_t word, HashKey key) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{word} * key.factor;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

/// Eight bytes a step.
inline uint64_t HashText(std::string_view text, HashKey key) {
  uint64_t hash = key.begin ^ text.size();
  const char* data = text.data();
  size_t left = text.size();
  for (; left >= 8; data += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    hash = MixWord(hash ^ word, key);
  }
  if (left >= 4) {
    // Two halves that may overlap: cheaper than a copy of unknown length.
    uint32_t low, high;
    std::memcpy(&low, data, 4);
    std::memcpy(&high, data + left - 4, 4);
    hash = MixWord(hash ^ (uint64_t{high} << 32 | low), key);
  } else if (left > 0) {
    const auto byte = [data](size_t i) { return uint64_t{static_cast<uint8_t>(data[i])}; };
    hash = MixWord(hash ^ (byte(0) << 16 | byte(left / 2) << 8 | byte(left - 1)), key);
  }
  return hash;
}

}  // namespace crossover::tokenizer
