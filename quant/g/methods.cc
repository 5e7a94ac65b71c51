#include "quant/g/methods.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "quant/g/pack_block.h"
#include "quant/half.h"

namespace crossover::quant {
namespace {

/// x ≈ d·(q - z) with q in 0 … top.
struct Grid {
  double d = 0;
  double z = 0;

  double Code(double x, double top) const {
    return d == 0 ? std::clamp(std::nearbyint(z), 0.0, top)
                  : std::clamp(std::nearbyint(x / d + z), 0.0, top);
  }
};

double Rounded(double v) { return double{Half::FromFloat(static_cast<float>(v)).ToFloat()}; }

double Top(const GShape& shape) { return static_cast<double>((1u << shape.bits) - 1); }
double Middle(const GShape& shape) { return (Top(shape) + 1) / 2; }

/// What the file will hold. Zero points of 8 bits are stored below those of the codes' range.
Grid Stored(const GShape& shape, Grid grid) {
  const double shift = Middle(shape) - GOffset(shape.bits);
  grid.d = Rounded(grid.d);
  grid.z = shape.zero ? Rounded(grid.z - shift) + shift : Middle(shape);
  return grid;
}

void Write(const GShape& shape, std::span<const float> x, const Grid& grid, uint8_t* block) {
  const double shift = Middle(shape) - GOffset(shape.bits);
  uint8_t codes[128];
  for (size_t i = 0; i < x.size(); ++i) {
    codes[i] = static_cast<uint8_t>(static_cast<int>(grid.Code(x[i], Top(shape)) - shift));
  }
  PackGBlock(shape, static_cast<float>(grid.d), static_cast<float>(grid.z - shift), codes, block);
}

/// `share`: of the range that is kept.
Grid RangeGrid(const GShape& shape, std::span<const float> x, double share) {
  const auto [low_at, high_at] = std::ranges::minmax_element(x);
  const double low = std::min(double{*low_at}, 0.0) * share;
  const double high = std::max(double{*high_at}, 0.0) * share;
  if (!shape.zero) return {2 * std::max(-low, high) / Top(shape), Middle(shape)};
  const double d = (high - low) / Top(shape);
  return {d, d == 0 ? 0 : -low / d};
}

double Error(const GShape& shape, std::span<const float> x, const float* importance,
             const Grid& grid) {
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double miss = x[i] - grid.d * (grid.Code(x[i], Top(shape)) - grid.z);
    error += (importance == nullptr ? 1.0 : double{importance[i]}) * miss * miss;
  }
  return error;
}

/// Least squares of d (and d·z) for the codes that `grid` chooses; `grid` itself if they say
/// nothing.
Grid Fitted(const GShape& shape, std::span<const float> x, const float* importance,
            const Grid& grid) {
  double n = 0, q = 0, qq = 0, v = 0, qv = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double w = importance == nullptr ? 1.0 : double{importance[i]};
    const double code = grid.Code(x[i], Top(shape)) - (shape.zero ? 0 : Middle(shape));
    n += w;
    q += w * code;
    qq += w * code * code;
    v += w * x[i];
    qv += w * code * x[i];
  }
  if (!shape.zero) return qq > 0 && qv != 0 ? Grid{qv / qq, Middle(shape)} : grid;
  const double determinant = n * qq - q * q;
  if (!(determinant > 0)) return grid;
  const double d = (n * qv - q * v) / determinant;
  return d == 0 ? grid : Grid{d, (q - v / d) / n};
}

/// The grid that a block was encoded with.
Grid GridOf(const GShape& shape, const uint8_t* block) {
  Half halves[2];
  std::memcpy(halves, block, shape.zero ? 4 : 2);
  const double shift = Middle(shape) - GOffset(shape.bits);
  return {halves[0].ToFloat(), shape.zero ? halves[1].ToFloat() + shift : Middle(shape)};
}

/// The better of `best` and what codes and fit come to by turns from `grid`.
void Descend(const GShape& shape, std::span<const float> x, const float* importance, Grid grid,
             Grid& best) {
  constexpr int kTurns = 8;
  double best_error = Error(shape, x, importance, best);
  double last = INFINITY;
  for (int turn = 0; turn < kTurns; ++turn) {
    const Grid stored = Stored(shape, grid);
    const double error = Error(shape, x, importance, stored);
    if (error < best_error) best_error = error, best = stored;
    if (!(error < last)) break;
    last = error;
    grid = Fitted(shape, x, importance, grid);
  }
}

Grid LeastSquares(const GShape& shape, std::span<const float> x, const float* importance,
                  const Grid& searched) {
  constexpr int kRanges = 40;
  Grid best = searched;
  Descend(shape, x, importance, searched, best);
  for (int i = 0; i < kRanges; ++i) {
    Grid grid = RangeGrid(shape, x, 1 - 0.75 * i / kRanges);
    Descend(shape, x, importance, grid, best);
    if (shape.zero) continue;
    // Without a zero point codes reach one step further below than above: both ways are tried.
    grid.d = -grid.d;
    Descend(shape, x, importance, grid, best);
  }
  return best;
}

}  // namespace

void EncodeGByRange(const GShape& shape, std::span<const float> row, void* blocks) {
  auto* block = static_cast<uint8_t*>(blocks);
  for (size_t at = 0; at < row.size(); at += shape.group, block += GBlockBytes(shape)) {
    const auto x = row.subspan(at, shape.group);
    Grid grid = RangeGrid(shape, x, 1);
    grid.z = std::nearbyint(grid.z);
    Write(shape, x, Stored(shape, grid), block);
  }
}

void EncodeGByLeastSquares(const GShape& shape, std::span<const float> row, const float* importance,
                           void* blocks) {
  EncodeGRow(shape, row, importance, blocks);
  auto* block = static_cast<uint8_t*>(blocks);
  for (size_t at = 0; at < row.size(); at += shape.group, block += GBlockBytes(shape)) {
    const auto x = row.subspan(at, shape.group);
    const float* own = importance == nullptr ? nullptr : importance + at;
    Write(shape, x, LeastSquares(shape, x, own, GridOf(shape, block)), block);
  }
}

}  // namespace crossover::quant
