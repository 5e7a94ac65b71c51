// The first claim as curves: what so many bytes buy of each model, where two models' curves cross,
// and how sure the text makes that.
//
// A model's curve is ln(perplexity) over ln(bytes): its best files of so many bytes, joined by
// straight lines. Two curves are compared between the larger of their smallest files and the
// smaller of their largest ones, where both could spend as many bytes.
//
// Intervals: the text's chunks are drawn anew with replacement, the same ones for all cells, and
// all curves and crossings are made again of each draw (a paired bootstrap; Efron, Tibshirani
// 1993). The middle 95 % of what comes out is the interval.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/report/findings.h"
#include "bench/summary.h"

namespace crossover::bench {

enum class Better { kLarger, kSmaller, kUnsure };

/// A cell of a larger model against the best that as many bytes buy of any smaller one.
struct EqualBytesCell {
  Point larger = {};
  std::string opponent = {};  // the smaller model that makes the most of these bytes
  double log_ratio = 0;       // ln(perplexity / the opponent's): below 0 the larger one is better
  Interval interval = {};     // of log_ratio

  Better better() const;
};

/// A pair of neighbours in size: down to how many bits the larger one is the better use of the
/// bytes.
struct BreakEven {
  std::string smaller = {};
  std::string larger = {};
  double size_ratio = 0;  // of their parameters
  // Bits a weight of the larger one. `bits` lies from `fewest` (it is better wherever both could
  // spend the bytes) to `most` (the smaller is better up to there); the interval likewise.
  double bits = 0;
  double fewest = 0;
  double most = 0;
  std::optional<Interval> interval = {};
  double bytes = 0;         // of either's file there
  double smaller_bits = 0;  // of the smaller one in as many bytes

  bool found() const { return bits > fewest && bits < most; }
};

struct EqualBytes {
  std::vector<EqualBytesCell> cells = {};  // smallest larger model first, most bits first
  std::vector<BreakEven> pairs = {};       // smallest first
  /// From here on no larger model of a pair of neighbours is the worse use of the bytes: the most
  /// bits of the pairs' break-evens.
  std::optional<Interval> threshold = {};
  /// Chunks that were drawn from; 0: the records do not hold them, or not of the same text. Then
  /// `interval` of cells rests on the standard errors, as if independent, and pairs have none.
  size_t chunks = 0;
  size_t resamples = 0;  // how many times they were drawn
};

/// Of all points with a perplexity. Points as Points() orders them.
EqualBytes CompareCurves(std::span<const Point> points);

}  // namespace crossover::bench
