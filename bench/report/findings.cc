#include "bench/report/findings.h"

#include <algorithm>
#include <cmath>

namespace crossover::bench {
namespace {

constexpr double kSignificant = 1.96;  // two-sided 5 %

/// > 0: a is better than b by more than chance, < 0: worse, 0: within the error. The errors count
/// as independent; on the same text and items they are correlated, so this is on the cautious side.
int Compare(const Measured& a, const Measured& b, bool more_is_better) {
  const double difference = more_is_better ? a.value - b.value : b.value - a.value;
  const double error = std::hypot(a.standard_error, b.standard_error);
  if (std::abs(difference) <= kSignificant * error) return 0;
  return difference > 0 ? 1 : -1;
}

/// The same of two cells' perplexities. Where they are of the same chunks, by the chunks'
/// differences: what makes a chunk hard for both is not in these.
int ComparePerplexity(const Point& a, const Point& b) {
  const size_t n = a.chunk_nll.size();
  if (n < 2 || b.chunk_nll.size() != n) return Compare(*a.ppl, *b.ppl, false);
  double mean = 0;
  for (size_t i = 0; i < n; ++i) mean += (b.chunk_nll[i] - a.chunk_nll[i]) / static_cast<double>(n);
  double squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const double from_mean = b.chunk_nll[i] - a.chunk_nll[i] - mean;
    squares += from_mean * from_mean;
  }
  const double error = std::sqrt(squares / static_cast<double>(n * (n - 1)));
  if (!(std::abs(mean) > StudentT95(n - 1) * error)) return 0;
  return mean > 0 ? 1 : -1;
}

/// The models in the order of the points, each once.
std::vector<std::string> Models(std::span<const Point> points) {
  std::vector<std::string> models;
  for (const Point& point : points) {
    if (models.empty() || models.back() != point.model) models.push_back(point.model);
  }
  return models;
}

void AddSpeed(const ModelBenchResult& speed, const Limits& limits, Point& point) {
  point.prefill_disturbed = speed.prefill.conditions.disturbed();
  point.decode_disturbed = speed.decode.conditions.disturbed();
  point.limit_disturbed = !limits.disturbed.empty();
  const double prefill = speed.prefill.summary().median;
  if (prefill > 0 && !point.prefill_disturbed) point.prefill_seconds = 1 / prefill;
  if (point.decode_disturbed) return;
  const double rate = speed.decode.summary().median;
  if (rate > 0) point.decode_seconds = 1 / rate;
  point.joules = speed.energy_j_per_token;
  if (!point.limit_disturbed) point.bandwidth_share = speed.decode.fraction_of_limit();
}

Point ToPoint(const CellRecord& record) {
  const Measurement& m = *record.measurement;
  Point point{.model = record.model,
              .recipe = record.recipe,
              .parameters = m.parameters,
              .bpw = m.effective_bpw,
              .file_bytes = static_cast<double>(m.file_bytes),
              .accuracy = MeanAccuracy(m)};
  if (m.perplexity) {
    const double error = m.perplexity->ppl_stderr;
    point.ppl = Measured{m.perplexity->ppl, std::isfinite(error) ? error : 0};
    point.chunk_nll = m.perplexity->chunk_nll;
  }
  if (m.speed) {
    if (m.speed->peak_rss_bytes) point.rss_bytes = static_cast<double>(*m.speed->peak_rss_bytes);
    AddSpeed(*m.speed, record.machine.limits, point);
  }
  return point;
}

}  // namespace

std::optional<double> ValueOf(const Point& point, Quantity quantity) {
  switch (quantity) {
    case Quantity::kFileBytes:
      return point.file_bytes;
    case Quantity::kRssBytes:
      return point.rss_bytes;
    case Quantity::kDecodeSeconds:
      return point.decode_seconds;
    case Quantity::kPrefillSeconds:
      return point.prefill_seconds;
    case Quantity::kJoules:
      return point.joules;
  }
  return std::nullopt;
}

size_t LeftOut(std::span<const Point> points, Quantity quantity) {
  return static_cast<size_t>(std::count_if(points.begin(), points.end(), [&](const Point& p) {
    switch (quantity) {
      case Quantity::kPrefillSeconds:
        return p.prefill_disturbed;
      case Quantity::kDecodeSeconds:
      case Quantity::kJoules:
        return p.decode_disturbed;
      case Quantity::kFileBytes:
      case Quantity::kRssBytes:
        break;
    }
    return false;
  }));
}

std::optional<Measured> MeanAccuracy(const Measurement& measurement) {
  std::vector<std::string_view> seen;
  double sum = 0;
  double variance = 0;
  for (const TaskRecord& task : measurement.tasks) {
    if (std::find(seen.begin(), seen.end(), task.task) != seen.end()) continue;
    seen.push_back(task.task);
    sum += task.value;
    if (std::isfinite(task.standard_error)) variance += task.standard_error * task.standard_error;
  }
  if (seen.empty()) return std::nullopt;
  const auto n = static_cast<double>(seen.size());
  return Measured{sum / n, std::sqrt(variance) / n};
}

std::vector<Point> Points(std::span<const CellRecord> records) {
  std::vector<Point> points;
  for (const CellRecord& record : records) {
    if (record.ok()) points.push_back(ToPoint(record));
  }
  std::stable_sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    if (a.parameters != b.parameters) return a.parameters < b.parameters;
    if (a.model != b.model) return a.model < b.model;
    return a.bpw > b.bpw;
  });
  return points;
}

IsoSize CompareAtEqualBytes(std::span<const Point> points, bool by_accuracy) {
  IsoSize result;
  for (const Point& larger : points) {
    size_t pairs = 0;
    size_t wins = 0;
    size_t losses = 0;
    for (const Point& smaller : points) {
      const bool measured =
          by_accuracy ? larger.accuracy && smaller.accuracy : larger.ppl && smaller.ppl;
      if (!measured || larger.parameters <= smaller.parameters) continue;
      if (larger.file_bytes > smaller.file_bytes) continue;
      ++pairs;
      const int outcome = by_accuracy ? Compare(*larger.accuracy, *smaller.accuracy, true)
                                      : ComparePerplexity(larger, smaller);
      wins += outcome > 0 ? 1 : 0;
      losses += outcome < 0 ? 1 : 0;
    }
    result.pairs += pairs;
    result.wins += wins;
    result.losses += losses;
    if (pairs == 0) continue;
    result.cells.push_back({.larger = larger, .pairs = pairs, .wins = wins, .losses = losses});
    if (wins == pairs && (!result.lowest_winner || larger.bpw < result.lowest_winner->bpw)) {
      result.lowest_winner = larger;
    }
    if (losses > 0 && (!result.highest_loser || larger.bpw > result.highest_loser->bpw)) {
      result.highest_loser = larger;
    }
  }
  return result;
}

std::vector<ModelFit> FitAgainstBits(std::span<const Point> points, Quantity quantity) {
  std::vector<ModelFit> fits;
  for (const std::string& model : Models(points)) {
    std::vector<double> x;
    std::vector<double> y;
    for (const Point& point : points) {
      const auto value = ValueOf(point, quantity);
      if (point.model != model || !value) continue;
      x.push_back(point.bpw);
      y.push_back(*value);
    }
    const LinearFit fit = FitLine(x, y);
    if (std::isfinite(fit.r_squared)) fits.push_back({.model = model, .fit = fit});
  }
  return fits;
}

std::vector<ModelShare> BandwidthShares(std::span<const Point> points) {
  std::vector<ModelShare> shares;
  for (const std::string& model : Models(points)) {
    ModelShare share{.model = model};
    std::vector<double> values;
    for (const Point& point : points) {
      if (point.model != model || !point.bandwidth_share) continue;
      share.parameters = point.parameters;
      values.push_back(*point.bandwidth_share);
      share.above_one += *point.bandwidth_share > 1 ? 1 : 0;
    }
    if (values.empty()) continue;
    share.share = Summarise(values).median;
    shares.push_back(share);
  }
  return shares;
}

}  // namespace crossover::bench
