// The tile units (AMX) of x86 CPUs: whether they can be used, and setting them up.
#pragma once

#include <cstddef>

namespace crossover::kernels {

/// Whether this CPU has the unit and the operating system grants its registers to this process.
struct TileUnits {
  bool bf16 = false;
  bool int8 = false;
  const char* missing_bf16 = nullptr;  // why not; null if it is there
  const char* missing_int8 = nullptr;
};

/// Asks once; tile registers stay granted for the life of the process.
const TileUnits& AvailableTileUnits();

/// All eight tile registers of the calling thread at full size: 16 rows of 64 bytes. Released with
/// _tile_release by the caller. Precondition: one of the units is available.
void SetUpTiles();

}  // namespace crossover::kernels
