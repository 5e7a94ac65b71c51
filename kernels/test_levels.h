// For tests of kernels: every ISA level as a type, so that TEST_CASE_TEMPLATE makes each a test
// case of its own, and one that this CPU lacks is a skipped one.
#pragma once

#include <string>
#include <string_view>

#include "kernels/isa.h"
#include "tests/support/test_support.h"

namespace crossover::kernels {

struct ScalarLevel {
  static constexpr std::string_view kName = "scalar";
};
struct Sse4Level {
  static constexpr std::string_view kName = "sse4";
};
struct Avx2Level {
  static constexpr std::string_view kName = "avx2";
};
struct Avx2VnniLevel {
  static constexpr std::string_view kName = "avx2_vnni";
};
struct Avx512Level {
  static constexpr std::string_view kName = "avx512";
};
struct Avx512VnniLevel {
  static constexpr std::string_view kName = "avx512_vnni";
};
struct AmxLevel {
  static constexpr std::string_view kName = "amx";
};
struct NeonLevel {
  static constexpr std::string_view kName = "neon";
};

struct NeonDotprodLevel {
  static constexpr std::string_view kName = "neon_dotprod";
};

/// Selects a level for a scope. `if (!scope.available()) return;` at the top of a test.
template <class Level>
class LevelScope {
 public:
  LevelScope() : previous_(SelectedIsa()) {
    for (const IsaLevel& level : IsaLevels()) {
      available_ = available_ || (level.name == Level::kName && level.available);
    }
    if (available_) {
      SelectIsa(Level::kName);
    } else {
      test::Skip("this CPU or build lacks " + std::string(Level::kName));
    }
  }
  ~LevelScope() { SelectIsa(previous_); }
  LevelScope(const LevelScope&) = delete;
  LevelScope& operator=(const LevelScope&) = delete;

  bool available() const { return available_; }

 private:
  std::string previous_;
  bool available_ = false;
};

}  // namespace crossover::kernels

TYPE_TO_STRING_AS("scalar", crossover::kernels::ScalarLevel);
TYPE_TO_STRING_AS("sse4", crossover::kernels::Sse4Level);
TYPE_TO_STRING_AS("avx2", crossover::kernels::Avx2Level);
TYPE_TO_STRING_AS("avx2_vnni", crossover::kernels::Avx2VnniLevel);
TYPE_TO_STRING_AS("avx512", crossover::kernels::Avx512Level);
TYPE_TO_STRING_AS("avx512_vnni", crossover::kernels::Avx512VnniLevel);
TYPE_TO_STRING_AS("amx", crossover::kernels::AmxLevel);
TYPE_TO_STRING_AS("neon", crossover::kernels::NeonLevel);
TYPE_TO_STRING_AS("neon_dotprod", crossover::kernels::NeonDotprodLevel);

// A list of types cannot be a template here: doctest wants them spelt out.
#define CROSSOVER_EVERY_LEVEL                                                                    \
  crossover::kernels::ScalarLevel, crossover::kernels::Sse4Level, crossover::kernels::Avx2Level, \
      crossover::kernels::Avx2VnniLevel, crossover::kernels::Avx512Level,                        \
      crossover::kernels::Avx512VnniLevel, crossover::kernels::AmxLevel,                         \
      crossover::kernels::NeonLevel, crossover::kernels::NeonDotprodLevel
