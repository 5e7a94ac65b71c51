#include "kernels/isa.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/isa.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

int64_t CompiledTarget() { return HWY_TARGET; }

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {

HWY_EXPORT(CompiledTarget);

struct Level {
  std::string_view name;
  int64_t targets;  // Highway's bits
};

#ifdef HWY_NEON_WITHOUT_AES
constexpr int64_t kNeon = HWY_NEON | HWY_NEON_WITHOUT_AES;
#else
constexpr int64_t kNeon = HWY_NEON;
#endif

// Best first.
constexpr std::array kLevels = {
    Level{"avx512_vnni", HWY_AVX3_DL},
    Level{"avx512", HWY_AVX3},
    Level{"avx2", HWY_AVX2},
    Level{"sse4", HWY_SSE4},
    Level{"neon", kNeon},
    Level{"scalar", HWY_SCALAR | HWY_EMU128},
};

bool IsBuilt(const Level& level) { return (level.targets & (HWY_TARGETS)) != 0; }

// The fallback is there whatever Highway's own build says of it.
bool IsAvailable(const Level& level) {
  return level.name == "scalar" || (level.targets & hwy::SupportedTargets()) != 0;
}

std::string KnownLevels() {
  std::string available = "auto";
  std::string missing;
  for (const IsaLevel& level : IsaLevels()) {
    std::string& list = level.available ? available : missing;
    if (!list.empty()) list += ", ";
    list += level.name;
  }
  if (!missing.empty()) missing = " (built, but not on this CPU: " + missing + ")";
  return "available: " + available + missing;
}

}  // namespace

std::vector<IsaLevel> IsaLevels() {
  std::vector<IsaLevel> levels;
  for (const Level& level : kLevels) {
    if (IsBuilt(level)) levels.push_back({level.name, IsAvailable(level)});
  }
  return levels;
}

std::string_view SelectedIsa() {
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(hwy::SupportedTargets());
  for (const Level& level : kLevels) {
    if (!IsBuilt(level)) continue;
    hwy::ChosenTarget candidate;
    candidate.Update(level.targets & hwy::SupportedTargets());
    if (candidate.GetIndex() == chosen.GetIndex()) return level.name;
  }
  return "scalar";
}

void SelectIsa(std::string_view name) {
  if (name == "auto") {
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return;
  }
  for (const Level& level : kLevels) {
    if (level.name == name && IsBuilt(level) && IsAvailable(level)) {
      hwy::GetChosenTarget().Update(level.targets & hwy::SupportedTargets());
      return;
    }
  }
  throw Error(ErrorCode::kInvalidArgument,
              "no instruction-set level \"" + std::string(name) + "\" here; " + KnownLevels());
}

void SelectIsaFromEnvironment() {
  const char* name = std::getenv("CROSSOVER_ISA");
  if (name == nullptr || *name == '\0') return;
  try {
    SelectIsa(name);
  } catch (const Error& error) {
    throw Error(error.code(), std::string("CROSSOVER_ISA: ") + error.what());
  }
}

std::string_view ExecutedIsa() {
  const int64_t target = HWY_DYNAMIC_DISPATCH(CompiledTarget)();
  for (const Level& level : kLevels) {
    if ((level.targets & target) != 0) return level.name;
  }
  return "unknown";
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE
