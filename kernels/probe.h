// Loops that find a machine's limits: how fast bytes can be read, how fast each arithmetic unit
// goes. They do nothing useful; bench/machine/machine.h times them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::kernels {

/// Reads [data, data + bytes) `passes` times with the selected level's widest loads. `data` is
/// 64-byte aligned, `bytes` a multiple of 512. With `prefetch`, cache lines are asked for 2 KiB
/// ahead, which helps where the hardware prefetcher stops (page ends) and costs where it does not.
void ReadMemory(const void* data, size_t bytes, size_t passes, bool prefetch);

/// A loop that keeps one arithmetic unit busy from registers alone.
struct PeakLoop {
  std::string_view unit;              // "f32_fma", "int8_dot", "bf16_dot", "amx_bf16", "amx_int8"
  std::string_view instruction = "";  // what it runs, for example "vpdpbusd zmm"
  double operations = 0;              // multiplications and additions an iteration
  void (*run)(size_t iterations) = nullptr;
  std::string missing = {};  // why this CPU, build or level cannot run it; else empty
};

/// Every unit Crossover knows, at the selected ISA level; those that are not there say why.
std::vector<PeakLoop> PeakLoops();

/// The tile units' two loops (probe_amx.cc); `run` sets up the calling thread's tiles itself.
std::vector<PeakLoop> AmxPeakLoops();

}  // namespace crossover::kernels
