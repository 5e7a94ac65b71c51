#include "bench/machine/disturbance.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/text.h"

namespace crossover::bench {
namespace {

using Share = std::optional<double>;

constexpr double kMostExtraSeconds = 30;  // of one figure

/// What of `span` seconds the counter went on by, no less than nothing.
Share ShareOf(const std::optional<double>& before, const std::optional<double>& after,
              double span) {
  if (!before || !after || span <= 0) return std::nullopt;
  return std::max(0.0, *after - *before) / span;
}

/// Of the thread that waited longest. One that is new has waited since it began.
Share LongestWait(const LoadSnapshot& before, const LoadSnapshot& after, double wall) {
  if (!before.run_wait_s || !after.run_wait_s || wall <= 0) return std::nullopt;
  double longest = 0;
  for (const auto& [thread, wait] : *after.run_wait_s) {
    const auto then = before.run_wait_s->find(thread);
    longest = std::max(longest, wait - (then == before.run_wait_s->end() ? 0 : then->second));
  }
  return longest / wall;
}

/// CPU time of all less this process's own.
Share Others(const LoadSnapshot& before, const LoadSnapshot& after) {
  if (!before.busy_s || !after.busy_s) return std::nullopt;
  const double span = (after.wall_s - before.wall_s) * static_cast<double>(after.cpus);
  return ShareOf(*before.busy_s - before.own_cpu_s, *after.busy_s - after.own_cpu_s, span);
}

Share Larger(const Share& a, const Share& b) {
  if (!a || !b) return a ? a : b;
  return std::max(*a, *b);
}

nlohmann::json OrNull(const Share& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

Share Optional(const nlohmann::json& json, const char* key) {
  const nlohmann::json& value = json.at(key);
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

Disturbance Compare(const LoadSnapshot& earlier, const LoadSnapshot& before,
                    const LoadSnapshot& after, size_t threads) {
  Disturbance d{.wall_s = after.wall_s - before.wall_s,
                .run_wait = LongestWait(before, after, after.wall_s - before.wall_s),
                .others = Others(earlier, after),
                .mhz = after.mhz,
                .crowded = threads > after.cpus};
  const auto cpus = static_cast<double>(after.cpus);
  const double ticks_span = (after.wall_s - earlier.wall_s) * cpus;
  d.steal = ShareOf(earlier.steal_s, after.steal_s, ticks_span);
  d.pressure = ShareOf(before.pressure_s, after.pressure_s, d.wall_s);
  d.involuntary_switches = after.involuntary_switches - before.involuntary_switches;
  // A CPU that does this process's work all the time is off by a tick at most; the idle ones by
  // none.
  const auto busy = static_cast<double>(std::min(threads, after.cpus));
  d.throttled = ShareOf(before.throttled_s, after.throttled_s, d.wall_s * busy);
  if (ticks_span > 0) d.resolution = busy * after.tick_s / ticks_span;
  return d;
}

Disturbance Worst(const Disturbance& a, const Disturbance& b) {
  Disturbance worst{.wall_s = a.wall_s + b.wall_s,
                    .involuntary_switches = a.involuntary_switches + b.involuntary_switches,
                    .mhz = b.mhz ? b.mhz : a.mhz,
                    .resolution = std::max(a.resolution, b.resolution),
                    .crowded = a.crowded || b.crowded};
  for (const auto& [name, share] : kShares) worst.*share = Larger(a.*share, b.*share);
  return worst;
}

std::vector<std::pair<std::string, double>> Disturbance::Causes() const {
  std::vector<std::pair<std::string, double>> causes;
  const auto judge = [&](const char* what, const Share& share, double least) {
    if (share && *share > std::max(kDisturbedShare, least)) causes.emplace_back(what, *share);
  };
  const double least_wait = wall_s > 0 ? kLeastRunWaitSeconds / wall_s : 0;
  if (!crowded) judge("waiting for a CPU", run_wait, least_wait);
  judge("other processes", others, kDisturbedShare + resolution);
  judge("other guests of the host", steal, 0);
  judge("the cgroup's CPU quota", throttled, 0);
  // Whoever waits: only where the system does not say whether this process does.
  if (!crowded && !run_wait) judge("waiting for a CPU (of any process)", pressure, least_wait);
  std::stable_sort(causes.begin(), causes.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return causes;
}

size_t Conditions::quiet() const {
  return static_cast<size_t>(std::count_if(repetitions.begin(), repetitions.end(),
                                           [](const Disturbance& d) { return !d.disturbed(); }));
}

bool Conditions::known() const {
  return std::any_of(repetitions.begin(), repetitions.end(),
                     [](const Disturbance& d) { return d.run_wait || d.others || d.pressure; });
}

bool Conditions::disturbed() const { return !repetitions.empty() && 2 * quiet() < asked; }

bool Conditions::WantsMore() const {
  if (repetitions.size() < asked) return true;
  if (quiet() >= asked || repetitions.size() >= 2 * asked) return false;
  double extra = 0;
  for (size_t i = asked; i < repetitions.size(); ++i) extra += repetitions[i].wall_s;
  return extra < kMostExtraSeconds;
}

Disturbance Conditions::Largest() const {
  const std::vector<Disturbance> kept = Kept(repetitions);
  if (kept.empty()) return {};
  Disturbance largest = kept.front();
  for (size_t i = 1; i < kept.size(); ++i) largest = Worst(largest, kept[i]);
  return largest;
}

bool Conditions::Keeps(size_t i) const {
  return disturbed() || i >= repetitions.size() || !repetitions[i].disturbed();
}

const char* CsvField(const Conditions& conditions) {
  if (!conditions.known()) return "";
  return conditions.disturbed() ? "1" : "0";
}

void DisturbedCount::Add(const Conditions& conditions) {
  const Conditions* const one = &conditions;
  Add({&one, 1});
}

void DisturbedCount::Add(std::span<const Conditions* const> parts) {
  ++all_;
  bool any_disturbed = false;
  bool any_unknown = false;
  for (const Conditions* conditions : parts) {
    any_unknown = any_unknown || !conditions->known();
    any_disturbed = any_disturbed || conditions->disturbed();
    for (const Disturbance& repetition : conditions->repetitions) {
      if (!repetition.disturbed()) continue;
      if (!conditions->disturbed()) {
        ++left_out_;
        continue;
      }
      for (const auto& [what, share] : repetition.Causes()) {
        causes_[what] = std::max(causes_[what], share);
      }
    }
  }
  disturbed_ += any_disturbed ? 1 : 0;
  unknown_ += any_unknown ? 1 : 0;
}

std::string DisturbedCount::Causes() const {
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [what, share] : causes_) sorted.emplace_back(-share, what);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [share, what] : sorted) {
    text += fmt::format("{}{} up to {}", text.empty() ? "" : ", ", what, Percent(-share));
  }
  return text;
}

std::string DisturbedCount::FootLine() const {
  std::string text;
  if (disturbed_ > 0) {
    text = fmt::format("! disturbed: {} of {} figures ({}); measure again on a quiet machine\n",
                       disturbed_, all_, Causes());
  }
  if (left_out_ > 0) {
    text += fmt::format("repetitions of other figures left out as disturbed: {}\n", left_out_);
  }
  return text;
}

void to_json(nlohmann::json& json, const Disturbance& d) {
  json = {{"disturbed", d.disturbed()},
          {"wall_s", d.wall_s},
          {"involuntary_switches", d.involuntary_switches},
          {"mhz", OrNull(d.mhz)},
          {"resolution", d.resolution},
          {"crowded", d.crowded}};
  for (const auto& [name, share] : kShares) json[name] = OrNull(d.*share);
}

void from_json(const nlohmann::json& json, Disturbance& d) {
  d = {.wall_s = json.at("wall_s").get<double>(),
       .involuntary_switches = json.at("involuntary_switches").get<uint64_t>(),
       .mhz = Optional(json, "mhz"),
       .resolution = json.at("resolution").get<double>(),
       .crowded = json.at("crowded").get<bool>()};
  for (const auto& [name, share] : kShares) d.*share = Optional(json, name);
}

void to_json(nlohmann::json& json, const Conditions& conditions) {
  if (conditions.repetitions.empty()) {
    json = nullptr;
    return;
  }
  json = {{"disturbed", conditions.disturbed()},
          {"threshold", kDisturbedShare},
          {"asked", conditions.asked},
          {"quiet", conditions.quiet()},
          {"repetitions", conditions.repetitions},
          {"not_available", conditions.unknown}};
}

void from_json(const nlohmann::json& json, Conditions& conditions) {
  conditions = {};
  if (json.is_null()) return;
  json.at("asked").get_to(conditions.asked);
  json.at("repetitions").get_to(conditions.repetitions);
  json.at("not_available").get_to(conditions.unknown);
}

Conditions ConditionsOf(const nlohmann::json& json, const char* key) {
  const auto it = json.find(key);
  return it == json.end() ? Conditions{} : it->get<Conditions>();
}

}  // namespace crossover::bench
