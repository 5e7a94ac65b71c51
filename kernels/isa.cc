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

// Asked once, before a level is forced: forcing changes what SupportedTargets() returns, and in
// Highway 1.0.3 each call of it chooses the best target anew. The fallback is always there.
int64_t CpuTargets() {
  static const int64_t targets = hwy::SupportedTargets() | HWY_SCALAR | HWY_EMU128;
  return targets;
}

bool IsAvailable(const Level& level) { return (level.targets & CpuTargets()) != 0; }

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
  const int64_t cpu = CpuTargets();
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(cpu);
  for (const Level& level : kLevels) {
    if (!IsBuilt(level)) continue;
    hwy::ChosenTarget candidate;
    candidate.Update(level.targets & cpu);
    if (candidate.GetIndex() == chosen.GetIndex()) return level.name;
  }
  return "scalar";
}

void SelectIsa(std::string_view name) {
  const int64_t cpu = CpuTargets();
  if (name == "auto") {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(cpu);
    return;
  }
  for (const Level& level : kLevels) {
    if (level.name == name && IsBuilt(level) && IsAvailable(level)) {
      hwy::SetSupportedTargetsForTest(level.targets & cpu);
      hwy::GetChosenTarget().Update(level.targets & cpu);
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
