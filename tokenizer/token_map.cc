#include "tokenizer/token_map.h"

#include <bit>

namespace crossover::tokenizer {

TokenMap::TokenMap(size_t count) : slots_(std::bit_ceil(2 * count + 1)) {}

const TokenMap::Slot& TokenMap::Probe(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  size_t index = HashText(text) & mask;
  while (slots_[index].id != kNone) {
    if (std::string_view(slots_[index].data, slots_[index].size) == text) break;
    index = (index + 1) & mask;
  }
  return slots_[index];
}

bool TokenMap::Insert(std::string_view text, uint32_t id) {
  Slot& slot = const_cast<Slot&>(Probe(text));
  if (slot.id != kNone) return false;
  slot = {text.data(), static_cast<uint32_t>(text.size()), id};
  return true;
}

uint32_t TokenMap::Find(std::string_view text) const { return Probe(text).id; }

}  // namespace crossover::tokenizer
