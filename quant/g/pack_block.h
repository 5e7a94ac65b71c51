// Writes one block of the uniform family.
#pragma once

#include <cstdint>

#include "quant/g/g.h"

namespace crossover::quant {

/// `codes`: shape.group of them in element order, those of 8 bits as the bytes of signed ones. `z`
/// as Decode takes it; not written without a zero point.
void PackGBlock(const GShape& shape, float d, float z, const uint8_t* codes, uint8_t* block);

}  // namespace crossover::quant
