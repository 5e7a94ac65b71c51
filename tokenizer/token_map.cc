#include "tokenizer/token_map.h"

#include <bit>

namespace crossover::tokenizer {

TokenMap::TokenMap(size_t count, HashKey key) : slots_(std::bit_ceil(2 * count + 2)), key_(key) {}

const TokenMap::Slot& TokenMap::Probe(std::string_view text, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t index = hash & mask;
  while (slots_[index].id != kNone) {
    const Slot& slot = slots_[index];
    if (slot.hash == hash && std::string_view(slot.data, slot.size) == text) break;
    index = (index + 1) & mask;
  }
  return slots_[index];
}

bool TokenMap::Insert(std::string_view text, uint32_t id) {
  const uint64_t hash = HashText(text, key_);
  Slot& slot = const_cast<Slot&>(Probe(text, hash));
  if (slot.id != kNone) return false;
  slot = {hash, text.data(), static_cast<uint32_t>(text.size()), id};
  if (2 * ++size_ > slots_.size()) Grow();
  return true;
}

void TokenMap::Grow() {
  std::vector<Slot> old(2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id == kNone) continue;
    const_cast<Slot&>(Probe({slot.data, slot.size}, slot.hash)) = slot;
  }
}

uint32_t TokenMap::Find(std::string_view text) const {
  return Probe(text, HashText(text, key_)).id;
}

size_t TokenMap::Steps(std::string_view text) const {
  const uint64_t hash = HashText(text, key_);
  const auto at = static_cast<size_t>(&Probe(text, hash) - slots_.data());
  return 1 + ((at - hash) & (slots_.size() - 1));
}

}  // namespace crossover::tokenizer
