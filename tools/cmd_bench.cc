// crossover bench: what the machine can do, and what a model does with it.
#include "tools/cmd_bench.h"

namespace crossover::tools {

void AddBench(CLI::App& app, const GlobalOptions& globals) {
  CLI::App* bench =
      app.add_subcommand("bench", "Measure this machine, its kernels, or models on it");
  bench->require_subcommand(1);
  AddBenchMachine(*bench, globals);
  AddBenchKernels(*bench, globals);
  AddBenchModel(*bench, globals);
  AddBenchCrossover(*bench, globals);
  SetExamples(*bench,
              "  crossover bench machine\n"
              "  crossover bench kernels --op matmul --format Q4_K\n"
              "  crossover bench model model.gguf -p 512 -n 64 -r 5\n"
              "  crossover bench crossover model-q8.gguf model-q4.gguf");
}

}  // namespace crossover::tools
