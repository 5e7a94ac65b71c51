// crossover bench: what the machine can do, and what a model does with it.
#include "tools/cmd_bench.h"

namespace crossover::tools {

void AddBench(CLI::App& app, const GlobalOptions& globals) {
  const Subcommand bench(app, "bench", "Measure this machine, its kernels, or models on it");
  bench.RequireSubcommand();
  AddBenchMachine(bench.app(), globals);
  AddBenchKernels(bench.app(), globals);
  AddBenchModel(bench.app(), globals);
  AddBenchCrossover(bench.app(), globals);
  bench.Examples(
      "  crossover bench machine\n"
      "  crossover bench kernels --op matmul --format Q4_K\n"
      "  crossover bench model model.gguf -p 512 -n 64 -r 5\n"
      "  crossover bench crossover model-q8.gguf model-q4.gguf");
}

}  // namespace crossover::tools
