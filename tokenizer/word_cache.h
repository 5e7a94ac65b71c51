// Remembers, within one call of Encode, where a word's ids already stand in the output. Words of
// natural text repeat: nearly all look-ups hit, and a hit costs a copy of a few ids.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/hash_text.h"

namespace crossover::tokenizer {

class WordCache {
 public:
  /// Sized for a text of so many bytes, so that short texts pay nothing to clear it.
  explicit WordCache(size_t text_bytes)
      : slots_(std::bit_ceil(std::clamp(text_bytes / 8, size_t{1}, kMaxSlots))) {}

  /// Calls `encode`, which appends the word's ids to `out`, unless they can be copied from an
  /// earlier place in `out`. `word` must stay valid as long as the cache, and its ids in place.
  template <typename Id, typename Function>
  void Append(std::string_view word, std::vector<Id>& out, Function&& encode) {
    if (word.size() > kMaxWordBytes) return encode();
    Slot& slot = slots_[HashText(word, key_) & (slots_.size() - 1)];
    if (slot.word == word && slot.count > 0) {
      const size_t before = out.size();
      out.resize(before + slot.count);
      std::copy_n(out.begin() + static_cast<ptrdiff_t>(slot.begin), slot.count,
                  out.begin() + static_cast<ptrdiff_t>(before));
      return;
    }
    const size_t begin = out.size();
    encode();
    slot = {word, begin, out.size() - begin};
  }

 private:
  static constexpr size_t kMaxSlots = size_t{1} << 14;
  static constexpr size_t kMaxWordBytes = 64;
  struct Slot {
    std::string_view word;
    size_t begin = 0, count = 0;
  };
  std::vector<Slot> slots_;  // direct-mapped: a newer word takes the place
  HashKey key_ = HashKey::OfProcess();
};

}  // namespace crossover::tokenizer
