// A hash table from a token's text to its id: open addressing, keys are views into someone else's
// memory. std::unordered_map does the same, with a cache miss more for every look-up; a 150 000
// token vocabulary makes half a million of them while it loads.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/hash_text.h"

namespace crossover::tokenizer {

class TokenMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// Room for `count` keys; more make it grow.
  explicit TokenMap(size_t count = 0, HashKey key = HashKey::OfProcess());

  /// False, and nothing changed, if the key is there already. The text must outlive the map.
  bool Insert(std::string_view text, uint32_t id);
  /// kNone if absent.
  uint32_t Find(std::string_view text) const;
  /// Slots that Find looks at.
  size_t Steps(std::string_view text) const;

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
  HashKey key_;
};

}  // namespace crossover::tokenizer
