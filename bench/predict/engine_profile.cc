#include "bench/predict/engine_profile.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/summary.h"

namespace crossover::bench {
namespace {

using Key = std::pair<std::string, std::string>;

/// Numbers from `low` to `high`, each by the same factor above the one before.
std::vector<double> Geometric(double low, double high, size_t count) {
  std::vector<double> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    numbers[i] =
        low * std::pow(high / low, static_cast<double>(i) / static_cast<double>(count - 1));
  }
  return numbers;
}

std::map<Key, std::vector<const SpeedCase*>> ByKernel(std::span<const SpeedCase> cases) {
  std::map<Key, std::vector<const SpeedCase*>> groups;
  for (const SpeedCase& c : cases) {
    const bool known = c.unit_cycles_s > 0 && c.weights > 0 && c.tok_s > 0;
    if (known) groups[{c.engine, c.format}].push_back(&c);
  }
  return groups;
}

double LogError(double seconds, const SpeedCase& c) {
  return std::abs(std::log(seconds * c.tok_s));
}

/// Sets `cycles` to the candidate with the least error, which is returned.
double Choose(const EngineProfile& profile, double& cycles, std::span<const double> candidates,
              const std::vector<const SpeedCase*>& cases) {
  double best = HUGE_VAL, best_cycles = 0;
  for (const double candidate : candidates) {
    cycles = candidate;
    double error = 0;
    for (const SpeedCase* c : cases) error += LogError(profile.Decode(*c)->seconds, *c);
    if (error < best) {
      best = error;
      best_cycles = candidate;
    }
  }
  cycles = best_cycles;
  return best;
}

/// Sets each kernel's cycles to what fits its rows best; the sum of what is left.
double FitUnpacking(EngineProfile& profile,
                    const std::map<Key, std::vector<const SpeedCase*>>& groups) {
  constexpr double kStep = 1.4;
  static const std::vector<double> kCoarse = Geometric(0.004, 1, 17);  // steps of about that
  double sum = 0;
  for (const auto& [key, cases] : groups) {
    double& cycles = profile.unpack[key];
    Choose(profile, cycles, kCoarse, cases);
    sum += Choose(profile, cycles, Geometric(cycles / kStep, cycles * kStep, 13), cases);
  }
  return sum;
}

/// Shares, overlap and the cost of a layer, one after the other as long as any of them helps.
EngineProfile FitDecode(std::span<const SpeedCase> decode) {
  std::vector<SpeedCase> with_rate;
  std::ranges::copy_if(decode, std::back_inserter(with_rate),
                       [](const SpeedCase& c) { return c.read_bytes_s > 0; });
  const auto groups = ByKernel(with_rate);
  EngineProfile best;
  double least = FitUnpacking(best, groups);
  const auto improve = [&](double EngineProfile::*number, std::span<const double> candidates) {
    bool better = false;
    for (const double candidate : candidates) {
      EngineProfile profile = best;
      profile.*number = candidate;
      const double error = FitUnpacking(profile, groups);
      if (error >= least * (1 - 1e-9)) continue;
      least = error;
      best = std::move(profile);
      better = true;
    }
    return better;
  };
  static constexpr std::array kShares = {0.4,  0.45, 0.5,  0.55, 0.6,  0.65, 0.7,
                                         0.75, 0.8,  0.85, 0.9,  0.95, 1.0,  1.05};
  static constexpr std::array kOverlaps = {1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 8.0};
  static constexpr std::array kLayerCycles = {0.0, 1e4, 2e4, 4e4, 8e4, 16e4};
  for (bool better = true; better;) {
    better = improve(&EngineProfile::share, kShares);
    better = improve(&EngineProfile::nominal_share, kShares) || better;
    better = improve(&EngineProfile::overlap, kOverlaps) || better;
    better = improve(&EngineProfile::layer_cycles, kLayerCycles) || better;
  }
  return best;
}

}  // namespace

std::string_view RateKindName(RateKind kind) {
  switch (kind) {
    case RateKind::kMeasured:
      return "measured";
    case RateKind::kDerived:
      return "derived";
    case RateKind::kNominal:
      return "nominal";
    case RateKind::kNone:
      break;
  }
  return "none";
}

std::string FormatClass(std::string_view format) {
  if (format == "BF16") return "F16";
  const bool k_mixture = format.starts_with("Q") && format.find("_K_") != std::string_view::npos;
  return std::string(k_mixture ? format.substr(0, format.rfind('_')) : format);
}

std::string_view EngineProfile::Parts::bound() const {
  const double longest = std::max({reading_s, unpacking_s, fixed_s});
  if (longest == reading_s) return "reading";
  return longest == unpacking_s ? "unpacking" : "fixed";
}

std::optional<EngineProfile::Parts> EngineProfile::Decode(const SpeedCase& c) const {
  const auto cycles = unpack.find({c.engine, c.format});
  const bool known = c.read_bytes_s > 0 && c.unit_cycles_s > 0 && c.clock_hz > 0;
  if (cycles == unpack.end() || !known) return std::nullopt;
  Parts parts;
  const double reached = c.rate_kind == RateKind::kNominal ? nominal_share : share;
  parts.reading_s = c.bytes / (reached * c.read_bytes_s);
  parts.unpacking_s = c.weights * cycles->second / c.unit_cycles_s;
  parts.fixed_s = layer_cycles * static_cast<double>(c.layers) / c.clock_hz;
  const double longer = std::max(parts.reading_s, parts.unpacking_s);
  const double shorter = std::min(parts.reading_s, parts.unpacking_s);
  parts.seconds =
      longer * std::pow(1 + std::pow(shorter / longer, overlap), 1 / overlap) + parts.fixed_s;
  return parts;
}

std::optional<double> EngineProfile::Prefill(const SpeedCase& c) const {
  const auto cycles = multiply.find({c.engine, c.format});
  if (cycles == multiply.end() || c.unit_cycles_s <= 0) return std::nullopt;
  return c.weights * cycles->second / c.unit_cycles_s;
}

EngineProfile FitEngineProfile(std::span<const SpeedCase> decode,
                               std::span<const SpeedCase> prefill) {
  EngineProfile profile = FitDecode(decode);
  for (const auto& [key, cases] : ByKernel(prefill)) {
    std::vector<double> cycles;
    for (const SpeedCase* c : cases) cycles.push_back(c->unit_cycles_s / (c->tok_s * c->weights));
    profile.multiply[key] = Summarise(cycles).median;
  }
  return profile;
}

}  // namespace crossover::bench
