// What the subcommands share: the global flags, and how a subcommand puts itself on the command
// line.
#pragma once

#include <string>
#include <vector>

#include "bench/settings.h"
#include "engine/run/engine.h"
#include "tools/flags.h"

namespace crossover::tools {

/// --threads --isa --activations --kv-type --load --weights --deterministic --json --quiet.
struct GlobalOptions {
  size_t threads = 0;  // 0: physical cores
  std::string isa = "auto";
  std::string activations = "auto";
  std::string kv_type = "f16";
  std::string load = "mmap";
  std::string weights = "auto";
  bool deterministic = false;
  bool json = false;
  bool quiet = false;

  engine::LoadMode load_mode() const;
  engine::ModelOptions model_options() const;
  /// For a run that reads the weights `passes` times: where these are few and --weights says
  /// nothing, packing would not pay.
  engine::ModelOptions model_options(size_t passes) const;
  /// Threads, activations and KV type filled in; the rest is the caller's.
  engine::EngineOptions engine_options() const;
  size_t thread_count() const;
  /// The same as text, for records and for child processes.
  bench::Settings settings() const;
};

/// Puts the global flags on the app; subcommands reach them too because the app falls through.
void AddGlobalOptions(CLI::App& app, GlobalOptions& globals);

/// --isa, else CROSSOVER_ISA, else the best. UsageError lists the levels there are.
void ApplyIsa(CLI::App& app, const GlobalOptions& globals);

/// One per file tools/cmd_NAME.cc: adds the subcommand with its flags, help and examples, and a
/// callback that does the work. `globals` outlives the app and is parsed by the time a callback
/// runs.
void AddInfo(CLI::App& app, const GlobalOptions& globals);
void AddTokenize(CLI::App& app, const GlobalOptions& globals);
void AddGenerate(CLI::App& app, const GlobalOptions& globals);
void AddChat(CLI::App& app, const GlobalOptions& globals);
void AddLogits(CLI::App& app, const GlobalOptions& globals);
void AddImatrix(CLI::App& app, const GlobalOptions& globals);
void AddQuantize(CLI::App& app, const GlobalOptions& globals);
void AddAllocate(CLI::App& app, const GlobalOptions& globals);
void AddSynth(CLI::App& app, const GlobalOptions& globals);
void AddPerplexity(CLI::App& app, const GlobalOptions& globals);
void AddEval(CLI::App& app, const GlobalOptions& globals);
void AddBench(CLI::App& app, const GlobalOptions& globals);
void AddStudy(CLI::App& app, const GlobalOptions& globals);
void AddReport(CLI::App& app, const GlobalOptions& globals);
void AddServe(CLI::App& app, const GlobalOptions& globals);
void AddPredict(CLI::App& app, const GlobalOptions& globals);

/// A warning if there are more threads than CPUs that this process may use.
void WarnOfThreads(size_t threads);

/// The model as a word of its own or behind -m; of several commands that take more than one, all.
Flag AddModel(const Subcommand& command, std::string& path, const std::string& what);
Flag AddModels(const Subcommand& command, std::vector<std::string>& paths, const std::string& what);

/// UsageError if `output` is one of `inputs`, through links of any kind too. An empty
/// output is none.
void RefuseOutputOverInput(const std::string& output, const std::vector<std::string>& inputs);

/// UsageError if both forms of output are asked for.
void RefuseCsvWithJson(bool csv, const GlobalOptions& globals);

}  // namespace crossover::tools
