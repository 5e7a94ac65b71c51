// The tile units' peak. Highway 1.0.3 has no target for them: target attributes, the CPU's word and
// the kernel's permission instead.
#include "kernels/probe.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace crossover::kernels {

#if defined(__x86_64__)
namespace {

#define CROSSOVER_AMX __attribute__((target("amx-tile,amx-bf16,amx-int8")))

constexpr size_t kTileRows = 16;
constexpr size_t kTileBytes = 64;  // a row's
// Four products of 16 × 16 results a loop, over 32 bfloat16 or 64 bytes each.
constexpr double kProducts = 4;

// Linux saves tile registers (8 KiB a thread) only for processes that ask.
bool RequestTiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// Sums in tiles 0 to 3, operands in 4 to 7, all of full size; operands hold small numbers.
CROSSOVER_AMX void SetUpTiles() {
  TileConfig config;
  for (size_t i = 0; i < 8; ++i) {
    config.row_bytes[i] = kTileBytes;
    config.rows[i] = kTileRows;
  }
  // GCC 12 believes that the next line reads 8 bytes only and drops the other stores.
  asm volatile("" : "+m"(config));
  _tile_loadconfig(&config);
  alignas(64) uint16_t operand[kTileRows * kTileBytes / 2];
  for (uint16_t& value : operand) value = 0x3F01;  // bfloat16 0.504; bytes 1 and 63
  asm volatile("" : "+m"(operand));
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, operand, kTileBytes);
  _tile_loadd(5, operand, kTileBytes);
  _tile_loadd(6, operand, kTileBytes);
  _tile_loadd(7, operand, kTileBytes);
}

CROSSOVER_AMX void RunBf16Tiles(size_t iterations) {
  SetUpTiles();
  for (size_t i = 0; i < iterations; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

CROSSOVER_AMX void RunInt8Tiles(size_t iterations) {
  SetUpTiles();
  for (size_t i = 0; i < iterations; ++i) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
}

struct TileUnits {
  bool bf16 = false;
  bool int8 = false;
};

TileUnits CpuTileUnits() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return {};
  const bool tiles = (edx >> 24 & 1) != 0;
  return {tiles && (edx >> 22 & 1) != 0, tiles && (edx >> 25 & 1) != 0};
}

}  // namespace

std::vector<PeakLoop> AmxPeakLoops() {
  const TileUnits units = CpuTileUnits();
  PeakLoop bf16{.unit = "amx_bf16",
                .instruction = "tdpbf16ps",
                .operations = 2 * kProducts * 16 * 16 * 32,
                .run = RunBf16Tiles};
  PeakLoop int8{.unit = "amx_int8",
                .instruction = "tdpbssd",
                .operations = 2 * kProducts * 16 * 16 * 64,
                .run = RunInt8Tiles};
  if (!units.bf16) bf16.missing = "this CPU lacks AMX-BF16";
  if (!units.int8) int8.missing = "this CPU lacks AMX-INT8";
  if ((units.bf16 || units.int8) && !RequestTiles()) {
    const char* reason = "the operating system does not grant tile registers";
    if (units.bf16) bf16.missing = reason;
    if (units.int8) int8.missing = reason;
  }
  for (PeakLoop* loop : {&bf16, &int8}) {
    if (!loop->missing.empty()) loop->run = nullptr;
  }
  return {bf16, int8};
}

#else

std::vector<PeakLoop> AmxPeakLoops() {
  return {{.unit = "amx_bf16", .missing = "AMX is a unit of x86 CPUs"},
          {.unit = "amx_int8", .missing = "AMX is a unit of x86 CPUs"}};
}

#endif

}  // namespace crossover::kernels
