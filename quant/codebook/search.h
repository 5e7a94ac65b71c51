// Choosing codes of IQ1_S … IQ3_S: for a scale, the point of the grid that is nearest to eight (or
// four) weights under their importance; for a group, the scale whose nearest points leave least;
// for a block, the factor that its groups' small scales are counted in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quant/importance.h"
#include "quant/parts.h"

namespace crossover::quant {

inline constexpr size_t kCodebookBlock = 256;
inline constexpr size_t kCell = 8;  // weights whose signs, or shift, stand together
inline constexpr size_t kCells = kCodebookBlock / kCell;

enum class CellSigns : uint8_t {
  kEight,       // any
  kEven,        // seven; the eighth makes minus signs even in number
  kShift,       // none, but all coordinates are one more or one less
  kGroupShift,  // the same for a whole group
};

/// What a block of such a format holds.
struct CodebookChoice {
  float d = 0.0f;
  std::array<uint8_t, 16> scales{};  // of groups: what is multiplied is d · (2 · scale + 1)
  std::array<uint16_t, 2 * kCells> points{};  // of cells: one, or two
  std::array<uint8_t, kCells> signs{};        // a bit a weight, 1 for minus; or 1 for a shift down
};

class CodebookSearch {
 public:
  struct Shape {
    CellSigns signs;
    size_t group;  // weights that share a scale
    int scales;    // how many there are to choose from
    int down;      // of parts.h
  };

  /// `grid`: coordinates a byte each, as in grids.h.
  CodebookSearch(std::span<const uint64_t> grid, const Shape& shape);
  CodebookSearch(std::span<const uint32_t> grid, const Shape& shape);

  /// The least Σ weights · error² that it finds. Values that are not finite give any choice.
  CodebookChoice Encode(const float* x, const float* weights) const;

 private:
  struct Target;
  struct Fit;

  void TakeGrid(size_t dims, std::span<const int8_t> coordinates);
  float CellOf(const Target& target, size_t cell, float scale, int shift, uint16_t* points) const;
  float PointOf(const float* products, const float* weights, float scale, int shift,
                uint16_t& point) const;
  template <size_t kDims, size_t kLevels>
  float PointIn(const float* products, const float* weights, float scale, int shift,
                uint16_t& point) const;
  float GroupOf(const Target& target, size_t first, float scale, CodebookChoice& choice) const;
  Fit SumsOf(const Target& target, size_t first, const CodebookChoice& choice) const;
  float ScaleOf(const Target& target, size_t first, CodebookChoice& choice) const;
  float ScaleGroups(const Target& target, float d, CodebookChoice& choice) const;
  float Refined(const Target& target, const CodebookChoice& choice) const;
  int8_t Coordinate(size_t point, size_t k) const { return coordinates_[point * dims_ + k]; }

  Shape shape_;
  size_t dims_ = 0;
  std::vector<int8_t> coordinates_;  // [points][dims_]
  std::vector<int8_t> levels_;       // ascending
  // A point's number in base of the levels, its second half's digits above the first's: points
  // whose second half is h are begin_[h] … begin_[h + 1], and first_ has their first halves.
  size_t halves_ = 0;
  std::vector<uint16_t> begin_;
  std::vector<uint8_t> first_;
  std::vector<uint16_t> number_;  // the point of each number; 0xffff where there is none
};

/// A whole row: put(choice, block) writes what was chosen.
template <class Block, class Put>
void EncodeCodebookRow(const CodebookSearch& search, std::span<const float> row,
                       const float* importance, Block* out, Put&& put) {
  std::array<float, kCodebookBlock> ones;
  ones.fill(1.0f);
  float weights[kCodebookBlock];
  for (size_t begin = 0; begin < row.size(); begin += kCodebookBlock, ++out) {
    const auto x = row.subspan(begin, kCodebookBlock);
    ImportanceWeights(x, importance == nullptr ? ones.data() : importance + begin, MeanSquare(x),
                      weights);
    *out = {};
    put(search.Encode(x.data(), weights), *out);
  }
}

}  // namespace crossover::quant
