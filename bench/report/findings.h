// What a study's figures say about its three claims, whatever they say:
//   1. at equal bytes, a larger model quantised harder beats a smaller one kept more precise;
//   2. file size, memory and time per token are linear in the bits per weight;
//   3. the larger the model, the more of its decode time goes into moving weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/study/record.h"
#include "bench/summary.h"

namespace crossover::bench {

/// A value with its standard error; 0 where none is known.
struct Measured {
  double value = 0;
  double standard_error = 0;
};

/// A measured cell as the claims see it.
struct Point {
  std::string model = {};
  std::string recipe = {};
  uint64_t parameters = 0;
  double bpw = 0;
  double file_bytes = 0;
  std::optional<Measured> ppl = {};
  std::vector<double> chunk_nll = {};     // see PerplexityRecord
  std::optional<Measured> accuracy = {};  // mean over tasks, the first metric of each
  // What was measured while the machine was disturbed (disturbance.h) is left out of the next four.
  bool decode_disturbed = false;
  bool prefill_disturbed = false;
  bool limit_disturbed = false;                // that `bandwidth_share` would be of
  std::optional<double> rss_bytes = {};        // peak
  std::optional<double> decode_seconds = {};   // a token, median
  std::optional<double> prefill_seconds = {};  // likewise
  std::optional<double> joules = {};           // a decoded token
  std::optional<double> bandwidth_share = {};  // of the decode time: see SpeedResult

  std::string name() const { return model + " " + recipe; }
};

/// The measured cells, smallest model first, most bits first.
std::vector<Point> Points(std::span<const CellRecord> records);
/// The mean over tasks of a cell's first metric of each; nothing without tasks.
std::optional<Measured> MeanAccuracy(const Measurement& measurement);

/// A cell of a larger model in its pairs with smaller ones.
struct IsoCell {
  Point larger = {};
  size_t pairs = 0;
  size_t wins = 0;
  size_t losses = 0;
};

/// Claim 1: every pair of cells of two models where the larger model's file is no bigger.
struct IsoSize {
  size_t pairs = 0;
  size_t wins = 0;    // of the larger model, by more than chance (95 %)
  size_t losses = 0;  // likewise
  size_t ties() const { return pairs - wins - losses; }
  /// Of the larger models' cells that take part: the fewest bits that win every pair, and the most
  /// bits that lose one.
  std::optional<Point> lowest_winner = {};
  std::optional<Point> highest_loser = {};
  std::vector<IsoCell> cells = {};  // those with pairs
};
IsoSize CompareAtEqualBytes(std::span<const Point> points, bool by_accuracy);

/// Claim 2: one quantity of one model against its bits per weight.
inline constexpr double kLinear = 0.95;  // R² from which a line describes the points

struct ModelFit {
  std::string model = {};
  LinearFit fit = {};  // against BPW, in the quantity's unit
};
enum class Quantity { kFileBytes, kRssBytes, kDecodeSeconds, kPrefillSeconds, kJoules };
std::optional<double> ValueOf(const Point& point, Quantity quantity);
/// Points that have no such value because they were disturbed.
size_t LeftOut(std::span<const Point> points, Quantity quantity);
/// Models with a fit (three or more cells), smallest first.
std::vector<ModelFit> FitAgainstBits(std::span<const Point> points, Quantity quantity);

/// Claim 3: the median over a model's cells of the share of decode time that reading its bytes at
/// the machine's memory bandwidth accounts for.
struct ModelShare {
  std::string model = {};
  uint64_t parameters = 0;
  double share = 0;
  size_t above_one = 0;  // cells faster than memory could deliver
};
std::vector<ModelShare> BandwidthShares(std::span<const Point> points);

/// How many cells were disturbed, by what, and what becomes of them; and how many come from a
/// program that did not record it. Empty if there is nothing to say.
std::string DisturbedText(std::span<const CellRecord> records);

/// The three claims as one paragraph of plain text, before them DisturbedText. Records of several
/// machines are told apart by nobody here: it is the caller's study.
std::string FindingsParagraph(std::span<const CellRecord> records);

// Its parts, each a few sentences; for tests and for reports that give each a heading.
std::string IsoSizeText(std::span<const Point> points);
std::string LinearityText(std::span<const Point> points);
/// `cache_bytes`: of the machine's largest cache; 0 if unknown.
std::string BandwidthText(std::span<const Point> points, uint64_t cache_bytes);
/// Precondition: at least one model, smallest first. Disturbed passes are left out, and counted.
std::string CrossoverText(std::span<const CrossoverModel> models);

}  // namespace crossover::bench
