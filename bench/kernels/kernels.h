// Benchmarks of single kernels, by Google Benchmark: which variant, on operands that come from
// which level of memory, and how close it comes to the machine's limit there.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "bench/machine/disturbance.h"
#include "bench/machine/machine.h"
#include "bench/summary.h"
#include "kernels/matmul.h"
#include "kernels/team.h"

namespace crossover::bench {

/// What to run. An empty list takes a default of a minute or so; "all" takes everything.
struct KernelSelection {
  std::vector<std::string> operations;    // "matmul", "attention", "rms_norm" …
  std::vector<std::string> formats;       // of weights, of K and V
  std::vector<std::string> shapes;        // parts of names, such as "7b" or "qwen2.5-7b.ffn_down"
  std::vector<std::string> tokens;        // numbers
  std::vector<std::string> layouts;       // "mapped", "packed"
  std::vector<std::string> working_sets;  // "L1", "L2", "L3", "memory"
  std::vector<std::string> levels;        // instruction-set levels
  std::vector<std::string> contexts;      // tokens that attention looks back on
  std::string filter;                     // regular expression on names
  kernels::Activations activations = kernels::Activations::kAuto;
  size_t threads = 1;
};

class WeightStore;

/// What a prepared case may use. Lives as long as all cases run.
struct KernelBench {
  kernels::Team& team;
  const MachineInfo& machine;
  WeightStore& weights;
};

/// A kernel set up on its operands.
struct KernelWork {
  double bytes = 0;         // of weights, of K and V, or of rows, that a pass reads
  double operations = 0;    // multiplications and additions of a pass; 0: not what counts
  std::string kernel = {};  // what runs
  std::string limit = {};   // the level whose bandwidth, or the unit whose peak, bounds it
  size_t copies = 1;        // passes after which operands come again
  /// Passes [first, first + count), by all workers of the team.
  std::function<void(const kernels::Worker& worker, size_t first, size_t count)> run = {};
};

struct KernelCase {
  std::string operation;
  std::string format = {};  // empty where it has none; so below
  std::string shape = {};   // with "rows:48" where a level holds no more
  size_t tokens = 1;        // 0: has none
  std::string layout = {};
  std::string working_set = {};  // where operands come from
  std::string level = {};        // instruction-set level
  std::function<KernelWork(KernelBench&)> prepare = {};

  std::string Name() const;  // "matmul/Q4_K/qwen2.5-1.5b.ffn_down/tokens:1/packed/L2/avx512"
};

/// The selected cases, in an order that reuses operands. Error(kInvalidArgument) for a word that is
/// unknown lists the known ones. `left_out` counts matrices of which a level cannot hold even 16
/// rows a thread.
std::vector<KernelCase> SelectKernelCases(const KernelSelection& selection,
                                          const MachineInfo& machine, size_t* left_out = nullptr);

struct KernelRunOptions {
  size_t threads = 1;
  size_t repetitions = 3;
  double min_seconds = 0.05;     // of a repetition
  std::ostream* json = nullptr;  // where Google Benchmark's JSON goes
  size_t memory_bytes = 0;       // read to measure memory's limit; 0: as bench machine
  std::function<void(size_t done, size_t total)> progress = nullptr;
};

struct KernelResult {
  const KernelCase* benchmark = nullptr;
  std::string kernel;
  std::string limit;
  Summary seconds;  // of a pass
  Summary bytes_s;
  Summary operations_s;        // zero: none counted
  Summary fraction;            // of the limit; zero: the limit was not measured
  Conditions conditions = {};  // of a repetition; figures are of the undisturbed ones
  bool limit_disturbed = false;
};

/// Measures the limits that the cases need, then the cases. A disturbed repetition is done again,
/// as many a case as it has repetitions; what else ran is in Google Benchmark's counters. Selects
/// instruction-set levels as it goes and restores the one that was selected. Error(kInterrupted)
/// between cases.
std::vector<KernelResult> RunKernelCases(const std::vector<KernelCase>& cases,
                                         const KernelRunOptions& options);

std::string KernelTable(const std::vector<KernelResult>& results);
std::string KernelCsv(const std::vector<KernelResult>& results);

}  // namespace crossover::bench
