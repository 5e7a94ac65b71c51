// The first claim's figures (equal_bytes.h) as sentences and tables.
#pragma once

#include <string>

#include "bench/report/equal_bytes.h"
#include "bench/report/report_sections.h"

namespace crossover::bench {

/// The bits from which on, by the paper, the larger model is the better use of the bytes.
inline constexpr double kPaperThreshold = 3.5;

/// Where the larger model stops being the better use of the bytes, pair by pair, and overall.
std::string ThresholdText(const EqualBytes& equal);

/// Recipes by larger models: who wins at equal bytes, by how much, and how sure that is.
SectionTable EqualBytesMap(const EqualBytes& equal);

/// A row a pair of neighbours: where the curves cross.
SectionTable BreakEvenTable(const EqualBytes& equal);

/// What the paper says, what it was held against here, and what would refute it, counted.
Claim EqualBytesClaim(const EqualBytes& equal, std::span<const CellRecord> records);

}  // namespace crossover::bench
