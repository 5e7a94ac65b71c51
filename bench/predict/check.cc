#include "bench/predict/check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "bench/summary.h"

namespace crossover::bench {
namespace {

constexpr double kSimdBits = 512;  // of which the profile's cycles are

/// Programs that run another's kernels.
std::string EngineOf(const std::string& name) { return name == "ollama" ? "llama.cpp" : name; }

/// Not stated: all cores, as most programs do.
size_t ThreadsOf(const PublishedSpeed& speed, SpeedTest test, const PublishedMachine& machine) {
  const size_t stated = test == SpeedTest::kDecode ? speed.threads : speed.prefill_threads;
  return stated > 0 ? stated : machine.cores;
}

double TokensPerSecond(const PublishedSpeed& speed, SpeedTest test) {
  return (test == SpeedTest::kDecode ? speed.decode_tok_s : speed.prefill_tok_s).value_or(0);
}

/// Of the file, the part that a token reads.
double BytesAToken(const Published& published, const PublishedSpeed& speed) {
  const PublishedModel* model = published.FindModel(speed.model);
  if (model == nullptr) return 0;
  return speed.file_bytes * model->weights_a_token() / model->parameters;
}

/// The speed on which a machine's rate is based where none is published; null if there is no use.
const PublishedSpeed* RateRow(const Published& published, const PublishedMachine& machine) {
  const PublishedSpeed* most = nullptr;
  size_t rows = 0;
  const auto rate = [&](const PublishedSpeed& s) {
    return BytesAToken(published, s) * s.decode_tok_s.value_or(0);
  };
  for (const PublishedSpeed& speed : published.speeds) {
    const bool stated = !speed.file_estimated && speed.depth == 0;
    if (speed.machine != machine.name || !stated || rate(speed) <= 0) continue;
    ++rows;
    const bool more = most == nullptr || speed.file_bytes > most->file_bytes ||
                      (speed.file_bytes == most->file_bytes && rate(speed) > rate(*most));
    if (more) most = &speed;
  }
  return rows > 1 ? most : nullptr;
}

std::string WhyNot(const Published& published, const PublishedSpeed& speed, const SpeedCase& c,
                   SpeedTest test) {
  const PublishedMachine& machine = *published.FindMachine(speed.machine);
  if (c.weights <= 0) return "the model is not stated";
  if (c.unit_cycles_s <= 0) return "clock, vector units or threads are not stated";
  if (speed.depth > 0) return "tokens before it: what attention costs is no part of this model";
  if (test == SpeedTest::kPrefill) return "no other machine ran this engine and format";
  if (speed.file_bytes <= 0) return "the file's size is not known";
  if (c.rate_kind == RateKind::kNone) return "no rate of the machine's memory";
  if (c.rate_kind == RateKind::kDerived && RateRow(published, machine) == &speed) {
    return "the machine's rate is taken from it";
  }
  return "no other machine ran this engine and format";
}

struct Test {
  const PublishedSpeed* speed;
  SpeedTest test;
  SpeedCase values;
  bool usable;   // to be checked, and to fit unless it is a
  bool control;  // machine's that shows what cannot be known
};

std::vector<Test> Tests(const Published& published) {
  std::vector<Test> tests;
  for (const PublishedSpeed& speed : published.speeds) {
    const PublishedMachine& machine = *published.FindMachine(speed.machine);
    for (const SpeedTest test : {SpeedTest::kDecode, SpeedTest::kPrefill}) {
      if (TokensPerSecond(speed, test) <= 0) continue;
      const SpeedCase c = CaseOf(published, speed, test);
      const bool computable = c.weights > 0 && c.unit_cycles_s > 0 && speed.depth == 0;
      const bool source =
          c.rate_kind == RateKind::kDerived && RateRow(published, machine) == &speed;
      const bool usable = test == SpeedTest::kPrefill
                              ? computable
                              : computable && c.bytes > 0 && c.read_bytes_s > 0 && !source;
      tests.push_back({&speed, test, c, usable, !machine.control.empty()});
    }
  }
  return tests;
}

/// Fitted to all machines but `without`.
EngineProfile Fit(const std::vector<Test>& tests, const std::string& without) {
  std::vector<SpeedCase> decode, prefill;
  for (const Test& t : tests) {
    if (!t.usable || t.control || t.speed->machine == without) continue;
    (t.test == SpeedTest::kDecode ? decode : prefill).push_back(t.values);
  }
  return FitEngineProfile(decode, prefill);
}

CheckedSpeed Check(const Published& published, const Test& t, const EngineProfile& profile) {
  CheckedSpeed checked{.speed = *t.speed,
                       .test = t.test,
                       .rate_kind = t.values.rate_kind,
                       .tok_s = t.values.tok_s,
                       .control = published.FindMachine(t.speed->machine)->control};
  if (t.usable && t.test == SpeedTest::kDecode) {
    if (const auto parts = profile.Decode(t.values)) {
      checked.predicted_tok_s = 1 / parts->seconds;
      checked.bound = parts->bound();
    }
  } else if (t.usable) {
    if (const auto seconds = profile.Prefill(t.values)) {
      checked.predicted_tok_s = 1 / *seconds;
      checked.bound = "computing";
    }
  }
  if (!checked.predicted_tok_s) {
    checked.why_not = WhyNot(published, *t.speed, t.values, t.test);
  }
  return checked;
}

/// Prompts do not depend on the machine's read rate.
RateKind KindOf(const CheckedSpeed& speed) {
  return speed.test == SpeedTest::kPrefill ? RateKind::kNone : speed.rate_kind;
}

std::vector<double> Of(const std::vector<CheckedSpeed>& speeds, SpeedTest test, RateKind kind,
                       const auto& value) {
  std::vector<double> values;
  for (const CheckedSpeed& s : speeds) {
    const bool counted = s.predicted_tok_s && s.control.empty();
    if (counted && s.test == test && KindOf(s) == kind) values.push_back(value(s));
  }
  return values;
}

double FactorOf(const CheckedSpeed& s) { return s.tok_s / *s.predicted_tok_s; }

constexpr size_t kLeastOfSpread = 5;

/// Between which eight of ten factors lie; {0, infinity} for too few.
std::pair<double, double> MiddleOf(const std::vector<double>& factors) {
  constexpr double kLow = 0.1, kHigh = 0.9;
  if (factors.size() < kLeastOfSpread) return {0, std::numeric_limits<double>::infinity()};
  return {Percentile(factors, kLow), Percentile(factors, kHigh)};
}

}  // namespace

const char* SpeedTestName(SpeedTest test) {
  return test == SpeedTest::kDecode ? "decode" : "prefill";
}

double CheckedSpeed::error() const { return std::abs(*predicted_tok_s / tok_s - 1); }

SpeedCase CaseOf(const Published& published, const PublishedSpeed& speed, SpeedTest test) {
  const PublishedMachine& machine = *published.FindMachine(speed.machine);
  const PublishedModel* model = published.FindModel(speed.model);
  const size_t threads = ThreadsOf(speed, test, machine);
  SpeedCase c{.engine = EngineOf(speed.engine),
              .format = FormatClass(speed.format),
              .unit_cycles_s =
                  static_cast<double>(threads) * machine.clock_hz * machine.simd_bits / kSimdBits,
              .clock_hz = machine.clock_hz,
              .bytes = BytesAToken(published, speed),
              .weights = model == nullptr ? 0 : model->weights_a_token(),
              .layers = model == nullptr ? 0 : model->layers,
              .tok_s = TokensPerSecond(speed, test)};
  using ReadKind = PublishedMachine::ReadKind;
  if (machine.read_kind != ReadKind::kNone) {
    c.rate_kind =
        machine.read_kind == ReadKind::kMeasured ? RateKind::kMeasured : RateKind::kNominal;
    c.read_bytes_s = machine.ReadBytesPerSecond(threads);
  } else if (const PublishedSpeed* row = RateRow(published, machine)) {
    c.rate_kind = RateKind::kDerived;
    c.read_bytes_s = BytesAToken(published, *row) * *row->decode_tok_s;
  }
  return c;
}

bool CheckedSpeed::has_interval() const { return predicted_tok_s && std::isfinite(high_tok_s); }

std::pair<double, double> SpeedCheck::Spread(SpeedTest test, RateKind kind) const {
  return MiddleOf(Of(speeds, test, kind, FactorOf));
}

std::pair<double, double> SpeedCheck::SpreadWithout(const CheckedSpeed& speed) const {
  std::vector<double> others, all;
  for (const CheckedSpeed& s : speeds) {
    const bool counted = s.predicted_tok_s && s.control.empty();
    if (!counted || s.test != speed.test || KindOf(s) != KindOf(speed) || &s == &speed) continue;
    all.push_back(FactorOf(s));
    if (s.speed.machine != speed.speed.machine) others.push_back(all.back());
  }
  return MiddleOf(others.size() >= kLeastOfSpread ? others : all);
}

SpeedCheck CheckPublished(const Published& published) {
  const std::vector<Test> tests = Tests(published);
  std::map<std::string, EngineProfile> without;
  SpeedCheck check{.profile = Fit(tests, "")};
  for (const Test& t : tests) {
    const auto [profile, first] = without.try_emplace(t.usable ? t.speed->machine : "");
    if (first && t.usable) profile->second = Fit(tests, t.speed->machine);
    check.speeds.push_back(Check(published, t, profile->second));
  }
  for (CheckedSpeed& s : check.speeds) {
    if (!s.predicted_tok_s) continue;
    const auto [low, high] = check.SpreadWithout(s);
    s.low_tok_s = *s.predicted_tok_s * low;
    s.high_tok_s = *s.predicted_tok_s * high;
  }
  for (const SpeedTest test : {SpeedTest::kDecode, SpeedTest::kPrefill}) {
    for (const RateKind kind :
         {RateKind::kMeasured, RateKind::kDerived, RateKind::kNominal, RateKind::kNone}) {
      const auto errors =
          Of(check.speeds, test, kind, [](const CheckedSpeed& s) { return s.error(); });
      if (errors.empty()) continue;
      constexpr double kP90 = 0.9;
      const Summary summary = Summarise(errors);
      CheckSummary row{test,       kind, errors.size(), summary.median, Percentile(errors, kP90),
                       summary.max};
      for (const double inside : Of(check.speeds, test, kind, [](const CheckedSpeed& s) {
             return s.has_interval() ? (s.inside() ? 1.0 : 0.0) : -1.0;
           })) {
        row.with_interval += inside >= 0 ? 1 : 0;
        row.inside += inside > 0 ? 1 : 0;
      }
      check.summaries.push_back(row);
    }
  }
  return check;
}

}  // namespace crossover::bench
