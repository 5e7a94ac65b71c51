// Codes of any width in a chunk of 16 rows × 128 columns, so that few instructions take them out.
//
// A chunk of b-bit codes is b sets of four vectors of 64 bytes; byte 4r + j of vector q belongs to
// row r and column 4q + j of each of the slots that the set holds, and a slot is 16 columns. A
// byte has room for ⌊8 / b⌋ slots; the bits above them, taken over the b sets, hold the other
// slots in pieces:
//
//   b = 2: four slots a byte           b = 3: two, and two slots in 3 × 2 bits
//   b = 4: two                         b = 5: one, and three slots in 5 × 3 bits
//   b = 6: one, and two in 6 × 2 bits  b = 7: one, and one slot in 7 × 1 bits
//
// A code need not be shifted down to be multiplied: 2^s · code is what a mask leaves, and a whole
// slot's sum is shifted at once. Slots are numbered so that s falls from the first to the last: a
// sum over several slots is shifted down between them, and nothing is lost.
#pragma once

#include <array>
#include <cstddef>

namespace crossover::kernels {

/// Bits [from, from + width) of a set's bytes are bits [to, to + width) of the slot's codes.
struct SlotPiece {
  size_t set = 0;
  size_t from = 0;
  size_t to = 0;
  size_t width = 0;
};

struct Slot {
  size_t shift = 0;  // where a code's lowest bit can be used in place
  size_t count = 0;
  std::array<SlotPiece, 8> pieces{};
};

/// Slot k (0 … 7) of codes of `bits` bits.
constexpr Slot SlotOf(size_t bits, size_t k) {
  const size_t whole = 8 / bits;          // slots that lie whole in a byte
  const size_t spare = 8 - whole * bits;  // bits of a byte above them, and slots in pieces
  Slot slot;
  if (k >= spare) {
    const size_t place = k - spare;
    slot.shift = (whole - 1 - place / bits) * bits;
    slot.count = 1;
    slot.pieces[0] = {place % bits, slot.shift, 0, bits};
    return slot;
  }
  slot.shift = 8 - bits;
  for (size_t bit = 0; bit < bits; ++bit) {
    const size_t n = k * bits + bit;  // of all spare bits
    const size_t set = n / spare;
    if (slot.count > 0 && slot.pieces[slot.count - 1].set == set) {
      ++slot.pieces[slot.count - 1].width;
    } else {
      slot.pieces[slot.count++] = {set, whole * bits + n % spare, bit, 1};
    }
  }
  return slot;
}

}  // namespace crossover::kernels
