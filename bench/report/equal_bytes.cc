#include "bench/report/equal_bytes.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace crossover::bench {
namespace {

struct Knot {
  double bytes = 0;
  double loss = 0;  // ln(perplexity)
};
/// By bytes, each better than all before it.
using Curve = std::vector<Knot>;

/// One model's cells: which points they are, and what their files weigh.
struct Family {
  std::string model = {};
  double parameters = 0;
  std::vector<size_t> cells = {};  // places in the points, fewest bytes first
  double fewest_bytes = 0;
  double most_bytes = 0;
};

double Line(double x, double x0, double y0, double x1, double y1) {
  return x1 > x0 ? y0 + (y1 - y0) * (x - x0) / (x1 - x0) : y1;
}

Curve BestFiles(const Family& family, std::span<const Point* const> points,
                std::span<const double> losses) {
  Curve curve;
  for (const size_t cell : family.cells) {
    const Knot knot{points[cell]->file_bytes, losses[cell]};
    if (!curve.empty() && knot.loss >= curve.back().loss) continue;
    if (!curve.empty() && knot.bytes == curve.back().bytes) curve.pop_back();
    curve.push_back(knot);
  }
  return curve;
}

/// Precondition: bytes are no fewer than the first knot's. More than the last one's buy no more.
double LossAt(const Curve& curve, double bytes) {
  const auto above = std::upper_bound(curve.begin(), curve.end(), bytes,
                                      [](double x, const Knot& knot) { return x < knot.bytes; });
  if (above == curve.end()) return curve.back().loss;
  if (above == curve.begin()) return curve.front().loss;
  const Knot& below = above[-1];
  return Line(std::log(bytes), std::log(below.bytes), below.loss, std::log(above->bytes),
              above->loss);
}

/// Bits a weight of the family's files of so many bytes, between those that there are.
double BitsAt(const Family& family, std::span<const Point* const> points, double bytes) {
  const Point* below = points[family.cells.front()];
  for (const size_t cell : family.cells) {
    const Point* point = points[cell];
    if (point->file_bytes >= bytes) {
      return Line(bytes, below->file_bytes, below->bpw, point->file_bytes, point->bpw);
    }
    below = point;
  }
  return below->bpw;
}

/// The most bytes in [low, high] at which the larger model is no better; low if there are none.
double LastLoss(const Curve& larger, const Curve& smaller, double low, double high) {
  std::vector<double> at{low, high};
  for (const Curve* curve : {&larger, &smaller}) {
    for (const Knot& knot : *curve) {
      if (knot.bytes > low && knot.bytes < high) at.push_back(knot.bytes);
    }
  }
  std::sort(at.begin(), at.end());
  const auto worse_by = [&](double bytes) {
    return LossAt(larger, bytes) - LossAt(smaller, bytes);
  };
  double above = high;
  double above_by = worse_by(high);
  if (above_by >= 0) return high;
  for (auto it = at.rbegin() + 1; it != at.rend(); ++it) {
    const double by = worse_by(*it);
    if (by >= 0) return std::exp(Line(0, -by, std::log(*it), -above_by, std::log(above)));
    above = *it;
    above_by = by;
  }
  return low;
}

/// All comparisons of a study, for any losses of its cells.
class Comparison {
 public:
  explicit Comparison(std::span<const Point> points) {
    for (const Point& point : points) {
      const bool compares = point.ppl && point.ppl->value > 0 && std::isfinite(point.ppl->value) &&
                            point.file_bytes > 0 && std::isfinite(point.bpw);
      if (!compares) continue;
      if (families_.empty() || families_.back().model != point.model) {
        families_.push_back(
            {.model = point.model, .parameters = static_cast<double>(point.parameters)});
      }
      families_.back().cells.push_back(points_.size());
      points_.push_back(&point);
    }
    for (Family& family : families_) {
      std::stable_sort(family.cells.begin(), family.cells.end(), [&](size_t a, size_t b) {
        return points_[a]->file_bytes < points_[b]->file_bytes;
      });
      family.fewest_bytes = points_[family.cells.front()]->file_bytes;
      family.most_bytes = points_[family.cells.back()]->file_bytes;
    }
    FindContests();
    for (size_t i = 1; i < families_.size(); ++i) {
      if (families_[i].parameters > families_[i - 1].parameters && Low(i) < High(i)) {
        neighbours_.push_back(i);
      }
    }
  }

  const std::vector<const Point*>& points() const { return points_; }

  /// The cells that smaller models could spend as many bytes as, without intervals.
  std::vector<EqualBytesCell> Cells(std::span<const double> losses) const {
    const std::vector<Curve> curves = Curves(losses);
    std::vector<EqualBytesCell> cells;
    for (const Contest& contest : contests_) {
      const Point& larger = *points_[contest.cell];
      double best = HUGE_VAL;
      const Family* opponent = &families_[contest.opponents.front()];
      for (const size_t family : contest.opponents) {
        const double loss = LossAt(curves[family], larger.file_bytes);
        if (loss < best) opponent = &families_[family];
        best = std::min(best, loss);
      }
      cells.push_back({.larger = larger,
                       .opponent = opponent->model,
                       .log_ratio = losses[contest.cell] - best});
    }
    return cells;
  }

  std::vector<BreakEven> Pairs(std::span<const double> losses) const {
    const std::vector<Curve> curves = Curves(losses);
    std::vector<BreakEven> pairs;
    for (const size_t i : neighbours_) {
      const double bytes = LastLoss(curves[i], curves[i - 1], Low(i), High(i));
      pairs.push_back({.smaller = families_[i - 1].model,
                       .larger = families_[i].model,
                       .size_ratio = families_[i].parameters / families_[i - 1].parameters,
                       .bits = BitsAt(families_[i], points_, bytes),
                       .fewest = BitsAt(families_[i], points_, Low(i)),
                       .most = BitsAt(families_[i], points_, High(i)),
                       .bytes = bytes,
                       .smaller_bits = BitsAt(families_[i - 1], points_, bytes)});
    }
    return pairs;
  }

 private:
  struct Contest {
    size_t cell = 0;
    std::vector<size_t> opponents = {};  // families
  };

  double Low(size_t i) const {
    return std::max(families_[i].fewest_bytes, families_[i - 1].fewest_bytes);
  }
  double High(size_t i) const {
    return std::min(families_[i].most_bytes, families_[i - 1].most_bytes);
  }

  void FindContests() {
    for (size_t i = 0; i < families_.size(); ++i) {
      // Most bits first, as the points are.
      for (auto cell = families_[i].cells.rbegin(); cell != families_[i].cells.rend(); ++cell) {
        Contest contest{.cell = *cell};
        const double bytes = points_[*cell]->file_bytes;
        for (size_t j = 0; j < i; ++j) {
          if (families_[j].parameters < families_[i].parameters &&
              families_[j].fewest_bytes <= bytes && bytes <= families_[j].most_bytes) {
            contest.opponents.push_back(j);
          }
        }
        if (!contest.opponents.empty()) contests_.push_back(std::move(contest));
      }
    }
  }

  std::vector<Curve> Curves(std::span<const double> losses) const {
    std::vector<Curve> curves;
    for (const Family& family : families_) curves.push_back(BestFiles(family, points_, losses));
    return curves;
  }

  std::vector<const Point*> points_ = {};
  std::vector<Family> families_ = {};  // smallest first
  std::vector<Contest> contests_ = {};
  std::vector<size_t> neighbours_ = {};  // of these families with the one before
};

constexpr double kLargestLoss = 1e3;  // nats a token: no text's

/// As many as are quick: a long text needs fewer for the same digits.
size_t Resamples(size_t cells, size_t chunks) {
  constexpr size_t kMost = 1000;
  constexpr size_t kLeast = 200;
  constexpr size_t kWork = size_t{1} << 27;
  return std::clamp(kWork / std::max<size_t>(cells * chunks, 1), kLeast, kMost);
}

/// How many chunks all cells have losses of; 0 if they differ, or lack them.
size_t CommonChunks(const std::vector<const Point*>& points) {
  if (points.empty()) return 0;
  const size_t chunks = points.front()->chunk_nll.size();
  const bool same = std::all_of(points.begin(), points.end(), [&](const Point* point) {
    return point->chunk_nll.size() == chunks &&
           std::all_of(point->chunk_nll.begin(), point->chunk_nll.end(),
                       [](double nll) { return std::abs(nll) < kLargestLoss; });
  });
  return same && chunks > 1 ? chunks : 0;
}

Interval Middle95(std::span<const double> values) {
  return {.low = Percentile(values, 0.025), .high = Percentile(values, 0.975)};
}

/// The same draws for all cells.
void Resample(const Comparison& comparison, EqualBytes& result) {
  // Not the standard library's distributions, which differ between implementations: a report made
  // again is the same report.
  std::mt19937_64 random(20250515);
  std::vector<std::vector<double>> ratios(result.cells.size());
  std::vector<std::vector<double>> bits(result.pairs.size());
  std::vector<double> thresholds;
  std::vector<size_t> drawn(result.chunks);
  std::vector<double> losses(comparison.points().size());
  for (size_t sample = 0; sample < result.resamples; ++sample) {
    for (size_t& chunk : drawn) chunk = random() % result.chunks;
    for (size_t i = 0; i < losses.size(); ++i) {
      losses[i] = 0;
      for (const size_t chunk : drawn) losses[i] += comparison.points()[i]->chunk_nll[chunk];
      losses[i] /= static_cast<double>(result.chunks);
    }
    const auto cells = comparison.Cells(losses);
    for (size_t i = 0; i < cells.size(); ++i) ratios[i].push_back(cells[i].log_ratio);
    const auto pairs = comparison.Pairs(losses);
    double most = 0;
    for (size_t i = 0; i < pairs.size(); ++i) {
      bits[i].push_back(pairs[i].bits);
      most = std::max(most, pairs[i].bits);
    }
    thresholds.push_back(most);
  }
  for (size_t i = 0; i < ratios.size(); ++i) result.cells[i].interval = Middle95(ratios[i]);
  for (size_t i = 0; i < bits.size(); ++i) result.pairs[i].interval = Middle95(bits[i]);
  if (!result.pairs.empty()) result.threshold = Middle95(thresholds);
}

/// What independent errors would make of it: wider than need be, for both read the same text.
void UseStandardErrors(std::span<const Point* const> points, EqualBytes& result) {
  constexpr double kTwoSided95 = 1.96;
  for (EqualBytesCell& cell : result.cells) {
    double theirs = 0;  // the opponent's largest: its curve mixes several cells
    for (const Point* point : points) {
      if (point->model != cell.opponent) continue;
      theirs = std::max(theirs, point->ppl->standard_error / point->ppl->value);
    }
    const double ours = cell.larger.ppl->standard_error / cell.larger.ppl->value;
    const double half = kTwoSided95 * std::hypot(ours, theirs);
    cell.interval = {cell.log_ratio - half, cell.log_ratio + half};
  }
}

}  // namespace

Better EqualBytesCell::better() const {
  if (interval.high < 0) return Better::kLarger;
  return interval.low > 0 ? Better::kSmaller : Better::kUnsure;
}

EqualBytes CompareCurves(std::span<const Point> points) {
  const Comparison comparison(points);
  std::vector<double> losses;
  for (const Point* point : comparison.points()) losses.push_back(std::log(point->ppl->value));
  EqualBytes result{.cells = comparison.Cells(losses),
                    .pairs = comparison.Pairs(losses),
                    .chunks = CommonChunks(comparison.points())};
  if (result.chunks > 0) {
    result.resamples = Resamples(losses.size(), result.chunks);
    Resample(comparison, result);
  } else {
    UseStandardErrors(comparison.points(), result);
  }
  return result;
}

}  // namespace crossover::bench
