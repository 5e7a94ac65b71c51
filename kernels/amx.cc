#include "kernels/amx.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace crossover::kernels {

#if defined(__x86_64__)
namespace {

// Linux saves tile registers (8 KiB a thread) only for processes that ask.
bool RequestTiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

TileUnits FindTileUnits() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool known = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0;
  const bool tiles = known && (edx >> 24 & 1) != 0;
  TileUnits units{.bf16 = tiles && (edx >> 22 & 1) != 0, .int8 = tiles && (edx >> 25 & 1) != 0};
  if (!units.bf16) units.missing_bf16 = "this CPU lacks AMX-BF16";
  if (!units.int8) units.missing_int8 = "this CPU lacks AMX-INT8";
  if ((units.bf16 || units.int8) && !RequestTiles()) {
    const char* reason = "the operating system does not grant tile registers";
    units = {.missing_bf16 = reason, .missing_int8 = reason};
  }
  return units;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace

__attribute__((target("amx-tile"))) void SetUpTiles() {
  TileConfig config;
  for (size_t i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = 16;
  }
  // GCC 12 believes that the next line reads 8 bytes only and drops the other stores.
  asm volatile("" : "+m"(config));
  _tile_loadconfig(&config);
}

const TileUnits& AvailableTileUnits() {
  static const TileUnits units = FindTileUnits();
  return units;
}

#else

void SetUpTiles() {}

const TileUnits& AvailableTileUnits() {
  static const TileUnits none{.missing_bf16 = "AMX is a unit of x86 CPUs",
                              .missing_int8 = "AMX is a unit of x86 CPUs"};
  return none;
}

#endif

}  // namespace crossover::kernels
