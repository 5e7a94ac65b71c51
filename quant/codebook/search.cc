#include "quant/codebook/search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/half.h"
#include "quant/lanes.h"

namespace crossover::quant {
namespace {

constexpr uint16_t kNoPoint = 0xffff;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The first scales that are tried put a group's largest magnitude at fractions of the largest
// level.
constexpr int kTries = 9;
constexpr float kFirstTry = 0.55f;
constexpr float kTryStep = 0.1f;
// The square of the largest magnitude over the mean square, below which magnitudes are alike; of 16
// normal values it is about three.
constexpr float kFlat = 2.0f;

template <class Word>
std::vector<int8_t> BytesOf(std::span<const Word> grid) {
  std::vector<int8_t> bytes;
  for (const Word word : grid) {
    for (size_t k = 0; k < sizeof(Word); ++k) {
      bytes.push_back(static_cast<int8_t>(word >> (8 * k) & 255));
    }
  }
  return bytes;
}

/// Each sum of one of `a` and one of `b`, those of `a` following each other.
template <size_t kA, size_t kB>
std::array<float, kA * kB> Sums(const std::array<float, kA>& a, const std::array<float, kB>& b) {
  std::array<float, kA * kB> sums;
  for (size_t j = 0; j < kB; ++j) {
    for (size_t i = 0; i < kA; ++i) sums[j * kA + i] = a[i] + b[j];
  }
  return sums;
}

/// The costs of every half of a point: a number's lowest digit is that of the first coordinate.
template <size_t kLevels, size_t kCount>
auto SumsOfHalf(std::span<const std::array<float, kLevels>, kCount> each) {
  if constexpr (kCount == 2) {
    return Sums(each[0], each[1]);
  } else {
    return Sums(Sums(each[0], each[1]), Sums(each[2], each[3]));
  }
}

}  // namespace

/// A block to be met, its signs chosen.
struct CodebookSearch::Target {
  std::array<float, kCodebookBlock> weights;
  std::array<float, kCodebookBlock> products;  // weights · what coordinates have to be
  std::array<float, 16> largest{};             // magnitudes of groups
  std::array<float, 16> squares{};             // of groups, added up
};

/// For given codes, y = scale · code leaves least error with scale = products / squares, and takes
/// products² / squares from it.
struct CodebookSearch::Fit {
  float products = 0.0f;
  float squares = 0.0f;
  float gain() const {
    return products > 0.0f && squares > 0.0f ? products * products / squares : 0.0f;
  }
  float scale() const { return products / squares; }
};

CodebookSearch::CodebookSearch(std::span<const uint64_t> grid, const Shape& shape) : shape_(shape) {
  TakeGrid(8, BytesOf(grid));
}

CodebookSearch::CodebookSearch(std::span<const uint32_t> grid, const Shape& shape) : shape_(shape) {
  TakeGrid(4, BytesOf(grid));
}

void CodebookSearch::TakeGrid(size_t dims, std::span<const int8_t> coordinates) {
  dims_ = dims;
  coordinates_.assign(coordinates.begin(), coordinates.end());
  levels_ = coordinates_;
  std::ranges::sort(levels_);
  levels_.erase(std::unique(levels_.begin(), levels_.end()), levels_.end());
  halves_ = 1;
  for (size_t k = 0; k < dims / 2; ++k) halves_ *= levels_.size();
  const size_t points = coordinates_.size() / dims;
  begin_.assign(halves_ + 1, 0);
  number_.assign(halves_ * halves_, kNoPoint);
  for (size_t p = 0; p < points; ++p) {
    const auto half = [&](size_t from) {
      size_t n = 0;
      for (size_t k = dims / 2; k-- > 0;) {
        const auto level = std::ranges::find(levels_, Coordinate(p, from + k)) - levels_.begin();
        n = n * levels_.size() + static_cast<size_t>(level);
      }
      return n;
    };
    first_.push_back(static_cast<uint8_t>(half(0)));
    number_[half(dims / 2) * halves_ + half(0)] = static_cast<uint16_t>(p);
    for (size_t h = half(dims / 2) + 1; h <= halves_; ++h) ++begin_[h];
  }
}

/// The point of least Σ weights · (x - scale · coordinate)², but for what no point changes, which
/// is returned.
float CodebookSearch::PointOf(const float* products, const float* weights, float scale, int shift,
                              uint16_t& point) const {
  return dims_ == 8 ? PointIn<8, 3>(products, weights, scale, shift, point)
                    : PointIn<4, 8>(products, weights, scale, shift, point);
}

/// Lengths are known when compiled, so that loops become vectors.
template <size_t kDims, size_t kLevels>
float CodebookSearch::PointIn(const float* products, const float* weights, float scale, int shift,
                              uint16_t& point) const {
  // Of each coordinate's levels; the best of them all may be a point.
  std::array<float, kLevels> each[kDims];
  size_t number = 0;
  float least = 0.0f;
  for (size_t k = kDims; k-- > 0;) {
    size_t best = 0;
    for (size_t l = 0; l < kLevels; ++l) {
      const float y = scale * static_cast<float>(levels_[l] + shift);
      each[k][l] = y * (y * weights[k] - 2.0f * products[k]);
    }
    for (size_t l = 1; l < kLevels; ++l) best = each[k][l] < each[k][best] ? l : best;
    least += each[k][best];
    number = number * kLevels + best;
  }
  if (number_[number] != kNoPoint) {
    point = number_[number];
    return least;
  }

  constexpr size_t kHalf = kDims / 2;
  const auto first =
      SumsOfHalf<kLevels>(std::span<const std::array<float, kLevels>, kHalf>(each, kHalf));
  const auto second =
      SumsOfHalf<kLevels>(std::span<const std::array<float, kLevels>, kHalf>(each + kHalf, kHalf));
  const float least_first = *std::ranges::min_element(first);
  least = kInfinity;
  point = 0;
  for (size_t h = 0; h < second.size(); ++h) {
    if (!(second[h] + least_first < least)) continue;
    for (size_t p = begin_[h]; p < begin_[h + 1]; ++p) {
      const float cost = first[first_[p]] + second[h];
      if (cost < least) {
        least = cost;
        point = static_cast<uint16_t>(p);
      }
    }
  }
  return least;
}

float CodebookSearch::CellOf(const Target& target, size_t cell, float scale, int shift,
                             uint16_t* points) const {
  float cost = 0.0f;
  for (size_t k = 0; k < kCell; k += dims_) {
    const size_t e = cell * kCell + k;
    cost += PointOf(&target.products[e], &target.weights[e], scale, shift, points[k / dims_]);
  }
  return cost;
}

/// Points, and shifts, of the group from cell `first` on for a scale.
float CodebookSearch::GroupOf(const Target& target, size_t first, float scale,
                              CodebookChoice& choice) const {
  const size_t cells = shape_.group / kCell;
  const size_t points = kCell / dims_;
  if (shape_.signs == CellSigns::kEight || shape_.signs == CellSigns::kEven) {
    float cost = 0.0f;
    for (size_t c = first; c < first + cells; ++c) {
      cost += CellOf(target, c, scale, 0, &choice.points[c * points]);
    }
    return cost;
  }
  const size_t together = shape_.signs == CellSigns::kGroupShift ? cells : 1;
  float total = 0.0f;
  for (size_t c = first; c < first + cells; c += together) {
    float least = kInfinity;
    for (const int shift : {1, -1}) {
      std::array<uint16_t, kCells> tried{};
      float cost = 0.0f;
      for (size_t i = 0; i < together; ++i) cost += CellOf(target, c + i, scale, shift, &tried[i]);
      if (!(cost < least) && shift < 0) continue;
      least = cost;
      for (size_t i = 0; i < together; ++i) {
        choice.points[c + i] = tried[i];
        choice.signs[c + i] = shift < 0 ? 1 : 0;
      }
    }
    total += least;
  }
  return total;
}

CodebookSearch::Fit CodebookSearch::SumsOf(const Target& target, size_t first,
                                           const CodebookChoice& choice) const {
  const bool shifts = shape_.signs == CellSigns::kShift || shape_.signs == CellSigns::kGroupShift;
  Fit fit;
  for (size_t c = first; c < first + shape_.group / kCell; ++c) {
    const int shift = !shifts ? 0 : choice.signs[c] != 0 ? -1 : 1;
    for (size_t i = 0; i < kCell; ++i) {
      const size_t e = c * kCell + i;
      const auto code = static_cast<float>(Coordinate(choice.points[e / dims_], e % dims_) + shift);
      fit.products += target.products[e] * code;
      fit.squares += target.weights[e] * code * code;
    }
  }
  return fit;
}

/// The group's own best scale.
float CodebookSearch::ScaleOf(const Target& target, size_t first, CodebookChoice& choice) const {
  const float largest = target.largest[first * kCell / shape_.group];
  if (!(largest > 0.0f)) return 0.0f;
  const float unit = largest / static_cast<float>(levels_.back());
  float best = unit;
  float most = 0.0f;
  const auto try_scale = [&](float scale) {
    GroupOf(target, first, scale, choice);
    const Fit fit = SumsOf(target, first, choice);
    if (!(fit.gain() > most)) return;
    most = fit.gain();
    best = fit.scale();
  };
  for (int i = 0; i < kTries; ++i) {
    try_scale(unit * (kFirstTry + kTryStep * static_cast<float>(i)));
  }
  // A group of nearly equal magnitudes may lie best at any level.
  const float mean =
      target.squares[first * kCell / shape_.group] / static_cast<float>(shape_.group);
  if (largest * largest < kFlat * mean) {
    for (const int8_t level : levels_) {
      if (level > 0) try_scale(largest / static_cast<float>(level));
    }
  }
  try_scale(best);
  return best;
}

/// The best small scale of each group beside the one at hand, and its codes, for a factor as a
/// reader will see it.
float CodebookSearch::ScaleGroups(const Target& target, float d, CodebookChoice& choice) const {
  float total = 0.0f;
  for (size_t g = 0; g < kCodebookBlock / shape_.group; ++g) {
    const size_t first = g * shape_.group / kCell;
    const int at = choice.scales[g];
    CodebookChoice best = choice;
    float least = kInfinity;
    for (int s = std::max(0, at - 1); s <= std::min(shape_.scales - 1, at + 1); ++s) {
      const float cost = GroupOf(target, first, d * static_cast<float>(2 * s + 1), choice);
      if (!(cost < least)) continue;
      least = cost;
      best = choice;
      best.scales[g] = static_cast<uint8_t>(s);
    }
    choice = best;
    total += least;
  }
  return total;
}

/// The factor that leaves least with the codes and small scales as they are.
float CodebookSearch::Refined(const Target& target, const CodebookChoice& choice) const {
  Fit all;
  for (size_t g = 0; g < kCodebookBlock / shape_.group; ++g) {
    const Fit fit = SumsOf(target, g * shape_.group / kCell, choice);
    const auto scale = static_cast<float>(2 * choice.scales[g] + 1);
    all.products += scale * fit.products;
    all.squares += scale * scale * fit.squares;
  }
  return all.gain() > 0.0f ? all.scale() : 0.0f;
}

CodebookChoice CodebookSearch::Encode(const float* x, const float* weights) const {
  CodebookChoice choice;
  Target target;
  const bool has_signs = shape_.signs == CellSigns::kEight || shape_.signs == CellSigns::kEven;
  for (size_t c = 0; c < kCells; ++c) {
    size_t cheapest = c * kCell;  // to have the wrong sign
    unsigned minus = 0;
    for (size_t e = c * kCell; e < (c + 1) * kCell; ++e) {
      target.weights[e] = weights[e];
      target.products[e] = weights[e] * (has_signs ? Abs(x[e]) : x[e]);
      float& largest = target.largest[e / shape_.group];
      largest = Max(largest, Abs(x[e]));
      target.squares[e / shape_.group] += x[e] * x[e];
      if (!has_signs || !(x[e] < 0.0f)) continue;
      choice.signs[c] = static_cast<uint8_t>(choice.signs[c] | 1u << (e % kCell));
      ++minus;
    }
    if (shape_.signs != CellSigns::kEven || minus % 2 == 0) continue;
    for (size_t e = c * kCell; e < (c + 1) * kCell; ++e) {
      const auto loss = [&](size_t i) { return target.products[i] * Abs(x[i]); };
      if (loss(e) < loss(cheapest)) cheapest = e;
    }
    choice.signs[c] = static_cast<uint8_t>(choice.signs[c] ^ 1u << (cheapest % kCell));
    target.products[cheapest] = -target.products[cheapest];
  }

  const size_t groups = kCodebookBlock / shape_.group;
  std::array<float, 16> fitted{};
  float largest = 0.0f;
  for (size_t g = 0; g < groups; ++g) {
    fitted[g] = ScaleOf(target, g * shape_.group / kCell, choice);
    largest = std::max(largest, fitted[g]);
  }
  if (!(largest > 0.0f)) {
    for (size_t g = 0; g < groups; ++g) GroupOf(target, g * shape_.group / kCell, 0.0f, choice);
    return choice;
  }
  const int top = shape_.scales - 1;
  const float power = PowerDown(shape_.down);
  float d = largest / static_cast<float>(2 * top + 1);
  for (size_t g = 0; g < groups; ++g) {
    const float nearest = (fitted[g] * Reciprocal(d) - 1.0f) * 0.5f;
    choice.scales[g] = static_cast<uint8_t>(RoundClamped(nearest, 0.0f, static_cast<float>(top)));
  }
  float least = kInfinity;
  CodebookChoice best = choice;
  for (int round = 0; round < 3; ++round) {
    choice.d = Half::FromFloat(d / power).ToFloat();
    const float cost = ScaleGroups(target, choice.d * power, choice);
    if (cost < least || round == 0) {
      least = cost;
      best = choice;
    }
    d = Refined(target, choice);
    if (!(d > 0.0f)) break;
  }
  return best;
}

}  // namespace crossover::quant
