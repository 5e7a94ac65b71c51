// Predictions held against what others have published: each machine predicted by a profile that was
// fitted to all others.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/predict/engine_profile.h"
#include "bench/predict/published.h"
#include "bench/report/plot.h"

namespace crossover::bench {

enum class SpeedTest { kDecode, kPrefill };
const char* SpeedTestName(SpeedTest test);

/// What a published speed is for the model of time. A rate that is not published is derived: from
/// the machine's speed that moves the most bytes, if it has others to be predicted by it.
SpeedCase CaseOf(const Published& published, const PublishedSpeed& speed, SpeedTest test);

struct CheckedSpeed {
  PublishedSpeed speed = {};
  SpeedTest test = SpeedTest::kDecode;
  RateKind rate_kind = RateKind::kNone;
  double tok_s = 0;  // published
  std::optional<double> predicted_tok_s = {};
  // Between which eight of ten such predictions lie, by the speeds of other machines; where these
  // are too few, by all other speeds. 0 and infinity where those are too few, too.
  double low_tok_s = 0, high_tok_s = 0;
  std::string bound = {};    // "reading", "unpacking", "fixed", "computing"
  std::string control = {};  // of the machine; not empty: not in the summaries
  std::string why_not = {};  // why nothing is predicted

  /// |predicted / published - 1|. Precondition: predicted_tok_s.
  double error() const;
  bool has_interval() const;
  bool inside() const { return low_tok_s <= tok_s && tok_s <= high_tok_s; }
};

/// How far predictions were from what was published, of one test and kind of rate.
struct CheckSummary {
  SpeedTest test = SpeedTest::kDecode;
  RateKind rate_kind = RateKind::kNone;
  size_t rows = 0;
  double median_error = 0, p90_error = 0, worst_error = 0;
  size_t with_interval = 0;
  size_t inside =
      0;  // of these: what was published lies in it; eight of ten if it is worth its name
};

struct SpeedCheck {
  std::vector<CheckedSpeed> speeds = {};     // in the order of the rows
  std::vector<CheckSummary> summaries = {};  // those that have rows
  EngineProfile profile = {};                // fitted to all machines

  /// Factors on a prediction between which eight of ten published speeds lay; {0, infinity} where
  /// there are too few to say.
  std::pair<double, double> Spread(SpeedTest test, RateKind kind) const;
  /// The same by what this speed knows nothing of: see CheckedSpeed.
  std::pair<double, double> SpreadWithout(const CheckedSpeed& speed) const;
};

SpeedCheck CheckPublished(const Published& published);

/// "LOW to HIGH", or "n/a" where there are too few to say.
std::string IntervalText(double low, double high);

std::string CheckTable(const SpeedCheck& check);
std::string CheckCsv(const SpeedCheck& check);
nlohmann::json CheckJson(const SpeedCheck& check);
/// Predicted against published, of decoding.
PlotSpec CheckPlot(const SpeedCheck& check);

}  // namespace crossover::bench
