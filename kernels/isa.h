// Which instruction-set level the kernels run at. Chosen once at start-up; forced by --isa or
// CROSSOVER_ISA for tests and studies. An unknown or unavailable name is an error, never a
// fallback.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace crossover::kernels {

struct IsaLevel {
  // "scalar"; "sse4", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "amx" (the same with tile
  // units); "neon", "neon_dotprod"
  std::string_view name;
  bool available;  // this CPU has it
};

/// Every level this binary was built with, best first.
std::vector<IsaLevel> IsaLevels();

/// The level that kernels run at now.
std::string_view SelectedIsa();

/// Forces a level by name ("auto": the best); Error(kInvalidArgument) names the levels there are.
/// Not to be called while kernels run.
void SelectIsa(std::string_view name);

/// Whether the selected level has the tile units.
bool TilesSelected();

/// Applies CROSSOVER_ISA if it is set.
void SelectIsaFromEnvironment();

/// The name of the level that a kernel actually executed at, asked of the kernel itself.
std::string_view ExecutedIsa();

}  // namespace crossover::kernels
