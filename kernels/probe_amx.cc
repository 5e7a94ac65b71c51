// The tile units' peak. Highway 1.0.3 has no target for them: target attributes, the CPU's word and
// the kernel's permission instead.
#include "kernels/amx.h"
#include "kernels/probe.h"

#if defined(__x86_64__)
#include <immintrin.h>

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

// Sums in tiles 0 to 3, operands in 4 to 7, all of full size; operands hold small numbers.
CROSSOVER_AMX void LoadOperands() {
  SetUpTiles();
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
  LoadOperands();
  for (size_t i = 0; i < iterations; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

CROSSOVER_AMX void RunInt8Tiles(size_t iterations) {
  LoadOperands();
  for (size_t i = 0; i < iterations; ++i) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
}

}  // namespace

std::vector<PeakLoop> AmxPeakLoops() {
  const TileUnits& units = AvailableTileUnits();
  PeakLoop bf16{.unit = "amx_bf16",
                .instruction = "tdpbf16ps",
                .operations = 2 * kProducts * 16 * 16 * 32,
                .run = RunBf16Tiles};
  PeakLoop int8{.unit = "amx_int8",
                .instruction = "tdpbssd",
                .operations = 2 * kProducts * 16 * 16 * 64,
                .run = RunInt8Tiles};
  if (!units.bf16) bf16.missing = units.missing_bf16;
  if (!units.int8) int8.missing = units.missing_int8;
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
