#include "kernels/isa.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <tuple>
#include <utility>

#if CROSSOVER_HAS_DOTPROD
#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <sys/auxv.h>
#endif
#endif

#include "base/error.h"
#include "kernels/amx.h"
#include "kernels/dotprod.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/isa.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// Highway's target, and whether with the dot product on top.
std::pair<int64_t, bool> CompiledTarget() { return {HWY_TARGET, CROSSOVER_DOTPROD != 0}; }

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
#if CROSSOVER_HAS_DOTPROD
namespace N_DOTPROD {
std::pair<int64_t, bool> CompiledTarget();
}
#endif

namespace {

HWY_EXPORT(CompiledTarget);

struct Level {
  std::string_view name;
  int64_t targets;       // Highway's bits
  bool dotprod = false;  // dotprod.h
  bool tiles = false;    // amx.h
};

#ifdef HWY_NEON_WITHOUT_AES
constexpr int64_t kNeon = HWY_NEON | HWY_NEON_WITHOUT_AES;
#else
constexpr int64_t kNeon = HWY_NEON;
#endif

// Best first.
constexpr std::array kLevels = {
    Level{"amx", HWY_AVX3_DL, false, true},
    Level{"avx512_vnni", HWY_AVX3_DL},
    Level{"avx512", HWY_AVX3},
#if CROSSOVER_HAS_DOTPROD && HWY_ARCH_X86
    Level{"avx2_vnni", HWY_AVX2, true},
#endif
    Level{"avx2", HWY_AVX2},
    Level{"sse4", HWY_SSE4},
#if CROSSOVER_HAS_DOTPROD && HWY_ARCH_ARM
    Level{"neon_dotprod", kNeon, true},
#endif
    Level{"neon", kNeon},
    Level{"scalar", HWY_SCALAR | HWY_EMU128},
};

bool IsBuilt(const Level& level) { return (level.targets & (HWY_TARGETS)) != 0; }

// Asked once, before a level is forced: forcing changes what SupportedTargets() returns, and in
// Highway 1.0.3 each call of it chooses the best target again. The fallback is always there.
int64_t CpuTargets() {
  static const int64_t targets = hwy::SupportedTargets() | HWY_SCALAR | HWY_EMU128;
  return targets;
}

bool CpuHasDotprod() {
#if CROSSOVER_HAS_DOTPROD && HWY_ARCH_X86
  // Leaf 7.1, EAX bit 4: AVX-VNNI. That the system saves AVX registers is what AVX2 tells.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return (CpuTargets() & HWY_AVX2) != 0 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax & 1u << 4) != 0;
#elif CROSSOVER_HAS_DOTPROD
  return (CpuTargets() & kNeon) != 0 && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return false;
#endif
}

bool CpuHasTiles() { return (CpuTargets() & HWY_AVX3_DL) != 0 && AvailableTileUnits().bf16; }

bool IsAvailable(const Level& level) {
  return (level.targets & CpuTargets()) != 0 && (!level.dotprod || CpuHasDotprod()) &&
         (!level.tiles || CpuHasTiles());
}

const Level& BestLevel() {
  return *std::ranges::find_if(
      kLevels, [](const Level& level) { return IsBuilt(level) && IsAvailable(level); });
}

// What Highway's chosen target leaves open.
std::atomic<bool>& DotprodChoice() {
  static std::atomic<bool> choice = BestLevel().dotprod;
  return choice;
}

std::atomic<bool>& TilesChoice() {
  static std::atomic<bool> choice = BestLevel().tiles;
  return choice;
}

/// What of a level Highway's target does not say is as it was chosen.
bool IsChosen(const Level& level) {
  return level.dotprod == DotprodSelected() && level.tiles == TilesSelected();
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

bool TilesSelected() { return TilesChoice().load(std::memory_order_relaxed); }

bool DotprodSelected() { return DotprodChoice().load(std::memory_order_relaxed); }

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
    // Of a level that the CPU lacks nothing would be left but Highway's fallback, which may be what
    // was chosen, but is no level.
    if (!IsBuilt(level) || !IsAvailable(level) || !IsChosen(level)) continue;
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
    DotprodChoice() = BestLevel().dotprod;
    TilesChoice() = BestLevel().tiles;
    return;
  }
  for (const Level& level : kLevels) {
    if (level.name == name && IsBuilt(level) && IsAvailable(level)) {
      hwy::SetSupportedTargetsForTest(level.targets & cpu);
      hwy::GetChosenTarget().Update(level.targets & cpu);
      DotprodChoice() = level.dotprod;
      TilesChoice() = level.tiles;
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
  auto [target, dotprod] = HWY_DYNAMIC_DISPATCH(CompiledTarget)();
#if CROSSOVER_HAS_DOTPROD
  if (DotprodSelected()) std::tie(target, dotprod) = N_DOTPROD::CompiledTarget();
#endif
  for (const Level& level : kLevels) {
    if ((level.targets & target) != 0 && level.dotprod == dotprod &&
        level.tiles == TilesSelected()) {
      return level.name;
    }
  }
  return "unknown";
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE
