// What an engine makes of a machine: the time of a decoded token and of a prompt's from the
// machine's numbers and the engine's.
//
//   reading    = bytes / (share · B(threads))
//   unpacking  = weights · c(format) / U
//   a token    = (reading^p + unpacking^p)^(1/p) + f · layers / clock
//   a prompt's = weights · m(format) / U         the arithmetic of prompts bounds them everywhere
//   U          = threads · clock · (SIMD bits / 512)
//
// B is the machine's read rate with so many threads. share is how near to it the engine's products
// come; c and m, in cycles a weight of a core with 512 bits of vector units, are what the engine's
// kernels spend on unpacking and multiplying a weight once, for one token and for one of many; f is
// what a layer costs beside its products. p says how far reading and computing overlap: 1 not at
// all, large p entirely.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::bench {

/// How well a machine's read rate is known. `kDerived`: from the speed of its largest file.
enum class RateKind { kMeasured, kDerived, kNominal, kNone };
std::string_view RateKindName(RateKind kind);

/// One test on one machine, with all that its prediction takes.
struct SpeedCase {
  std::string engine = {};
  std::string format = {};  // as FormatClass gives it
  RateKind rate_kind = RateKind::kNone;
  double read_bytes_s = 0;   // of so many threads
  double unit_cycles_s = 0;  // U
  double clock_hz = 0;
  double bytes = 0;    // that a token reads
  double weights = 0;  // in them
  size_t layers = 0;
  double tok_s = 0;  // as published
};

/// Formats that kernels treat alike, or nearly so: "Q4_K" of Q4_K_S and Q4_K_M, "F16" of BF16.
std::string FormatClass(std::string_view format);

struct EngineProfile {
  double share = 1;          // of measured and derived rates
  double nominal_share = 1;  // of nominal ones
  double overlap = 2;        // p
  double layer_cycles = 0;   // f
  /// Cycles a weight by engine and format.
  std::map<std::pair<std::string, std::string>, double> unpack = {}, multiply = {};

  struct Parts {
    double reading_s = 0, unpacking_s = 0, fixed_s = 0;
    double seconds = 0;
    /// "reading", "unpacking", "fixed": the longest.
    std::string_view bound() const;
  };
  /// Of a decoded token; nothing for a format of which the engine's cost is not known.
  std::optional<Parts> Decode(const SpeedCase& c) const;
  /// Seconds a token of a prompt; nothing as above.
  std::optional<double> Prefill(const SpeedCase& c) const;
};

/// The profile with the least sum of |log(predicted / published)|: errors by a factor count alike
/// up and down, and a few strange rows move it little. Rows without a rate are not used.
EngineProfile FitEngineProfile(std::span<const SpeedCase> decode,
                               std::span<const SpeedCase> prefill);

}  // namespace crossover::bench
