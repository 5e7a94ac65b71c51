// crossover bench kernels: single kernels, the machine's limit beside each.
#include <fmt/format.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/output_file.h"
#include "base/progress.h"
#include "bench/kernels/kernels.h"
#include "tools/checks.h"
#include "tools/cmd_bench.h"

namespace crossover::tools {
namespace {

struct BenchKernelsFlags {
  bench::KernelSelection selection;
  bench::KernelRunOptions run;
  bool list = false;
  bool csv = false;
  std::string format;  // Google Benchmark's word for json and csv
  std::string out;     // and its JSON
};

/// Words that name nothing are the caller's, not the work's.
std::vector<bench::KernelCase> Select(const bench::KernelSelection& selection, size_t& left_out) {
  try {
    return bench::SelectKernelCases(selection, bench::ReadMachineInfo(), &left_out);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw UsageError(error.what());
  }
}

void Run(BenchKernelsFlags& flags, const GlobalOptions& globals) {
  const bool json = globals.json || flags.format == "json";
  flags.selection.activations = globals.engine_options().activations;
  flags.selection.threads = globals.thread_count();
  flags.run.threads = globals.thread_count();
  std::ostringstream json_text;
  if (json || !flags.out.empty()) flags.run.json = &json_text;
  size_t left_out = 0;
  const auto cases = Select(flags.selection, left_out);
  if (flags.list) {
    for (const bench::KernelCase& c : cases) fmt::print("{}\n", c.Name());
    return;
  }
  if (cases.empty()) throw UsageError("no benchmark is left; see --list");
  if (!globals.quiet) {
    fmt::print(
        stderr, "{} of {}, about {:.0f} s{}\n", Counted(cases.size(), "benchmark"),
        Counted(flags.run.repetitions, "repetition"),
        3 + static_cast<double>(cases.size()) *
                (0.1 + flags.run.min_seconds * (1.5 + static_cast<double>(flags.run.repetitions))),
        left_out == 0 ? ""
                      : fmt::format("; {} left out: their level does not hold 16 rows a "
                                    "thread",
                                    left_out));
  }
  std::vector<bench::KernelResult> results;
  {
    Progress progress("kernels", cases.size(), !globals.quiet);
    flags.run.progress = [&](size_t done, size_t) { progress.Update(done); };
    results = bench::RunKernelCases(cases, flags.run);
  }
  if (!flags.out.empty()) WriteFile(flags.out, json_text.str());
  if (json) {
    fmt::print("{}", json_text.str());
    return;
  }
  if (flags.csv || flags.format == "csv") {
    fmt::print("{}", bench::KernelCsv(results));
    return;
  }
  fmt::print(
      "{}\n{}; median of {}. µs: a pass; GB/s: weights, K and V, or rows; "
      "GOP/s:"
      " multiplications and additions.\n",
      bench::KernelTable(results), Counted(globals.thread_count(), "thread"),
      Counted(flags.run.repetitions, "repetition"));
}

void AddSelection(const Subcommand& command, bench::KernelSelection& selection) {
  const auto add = [&](const char* flag, std::vector<std::string>& words, const char* help) {
    command.Add(flag, words, help).SplitAt(',').Type("A,B,…|all");
  };
  add("--op", selection.operations,
      "matmul, attention, activations, decode_row, encode_row, pack, rms_norm, swiglu …");
  add("--format", selection.formats, "Formats of weights, of K and V, of rows");
  add("--shape", selection.shapes,
      "Parts of names of shapes, such as 7b, ffn_down or qwen2.5-7b.output");
  add("--tokens", selection.tokens, "Tokens in a pass (all: 1,2,4,8,16,64,512)");
  add("--layout", selection.layouts, "mapped, packed (default: packed where there is such a form)");
  add("--working-set", selection.working_sets, "L1, L2, L3, memory: where weights come from");
  add("--level", selection.levels, "Instruction-set levels (default: that of --isa)");
  add("--context", selection.contexts,
      "Tokens that attention looks back on (default: 8192 for up to 16 tokens, else 0)");
  command.Add("--filter,--benchmark_filter", selection.filter, "Only benchmarks whose names match")
      .NotEmpty()
      .Type("REGEX");
}

}  // namespace

void AddBenchKernels(CLI::App& bench, const GlobalOptions& globals) {
  auto flags = std::make_shared<BenchKernelsFlags>();
  const Subcommand command(bench, "kernels", "Single kernels, the machine's limit beside each");
  AddSelection(command, flags->selection);
  command
      .Add("-r,--repetitions,--benchmark_repetitions", flags->run.repetitions,
           "Repetitions of each")
      .Range(1, 1000)
      .Type("N")
      .ShowDefault();
  command
      .Add("--min-time,--benchmark_min_time", flags->run.min_seconds,
           "Seconds a repetition lasts at least")
      .Check(NumberFrom(0.001, 60))
      .Type("S")
      .ShowDefault();
  command.Switch("--list,--benchmark_list_tests", flags->list,
                 "Name the benchmarks that the other words select");
  command.Switch("--csv", flags->csv, "Print CSV instead of a table");
  command.Add("--benchmark_format", flags->format, "As --json and --csv")
      .Among({"console", "json", "csv"})
      .Type("console|json|csv");
  command.Add("--benchmark_out", flags->out, "Also write the JSON to a file").Type("FILE");
  command.Examples(
      "  crossover bench kernels\n"
      "  crossover bench kernels --op matmul --format Q4_K,Q6_K --shape 7b --tokens 1\n"
      "  crossover bench kernels --op matmul --format Q4_K --level all --layout all\n"
      "  crossover bench kernels --op attention --format all --context 8192,32768 --json\n"
      "  crossover bench kernels --shape all --tokens all --working-set all --list");
  command.Run([flags, &globals] {
    RefuseCsvWithJson(flags->csv, globals);
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools
