#include "tools/command.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "bench/machine/system.h"
#include "bench/machine/usable_cpus.h"
#include "bench/setting_names.h"
#include "kernels/isa.h"
#include "tools/checks.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

// A qwen2.5-1.5b in Q4_K_M, AVX-512 VNNI, CPU seconds of both threads: packing while loading costs
// 0.26 more than starting on the file's blocks, and each pass of one token then takes 0.080 instead
// of 0.166. So it pays from the fourth pass on; where the system must first find free huge pages,
// later.
constexpr size_t kPassesWorthPacking = 8;

}  // namespace

engine::LoadMode GlobalOptions::load_mode() const { return settings().load_mode(); }

engine::ModelOptions GlobalOptions::model_options() const { return settings().model_options(); }

engine::ModelOptions GlobalOptions::model_options(size_t passes) const {
  engine::ModelOptions options = model_options();
  // What is deterministic should not depend on how much is generated.
  if (weights == "auto" && !deterministic && passes < kPassesWorthPacking) {
    options.weights = engine::WeightLayout::kMapped;
  }
  return options;
}

engine::EngineOptions GlobalOptions::engine_options() const { return settings().engine_options(); }

size_t GlobalOptions::thread_count() const {
  return threads > 0 ? threads : bench::PhysicalCores();
}

bench::Settings GlobalOptions::settings() const {
  return {.threads = thread_count(),
          .isa = std::string(kernels::SelectedIsa()),
          .activations = activations,
          .kv_type = kv_type,
          .load = load,
          .weights = weights == "auto" ? "packed" : weights,
          .deterministic = deterministic};
}

void AddGlobalOptions(CLI::App& app, GlobalOptions& globals) {
  const Subcommand all(app);
  all.Add("-t,--threads", globals.threads, "Threads (default: physical cores)")
      .Whole(1, 1024)
      .Type("N");
  all.Add("--isa", globals.isa,
          "Instruction-set level of the kernels (default: CROSSOVER_ISA, else the best)")
      .Type("LEVEL");
  all.Add("--activations", globals.activations, "Form of activations in matrix products")
      .AmongInAnyCase(bench::ActivationNames())
      .ShowDefault();
  all.Add("--kv-type", globals.kv_type, "Format of the KV cache")
      .AmongInAnyCase(bench::KvTypeNames())
      .ShowDefault();
  all.Add("--load", globals.load, "Map the weights from the file or read them into RAM")
      .AmongInAnyCase({"mmap", "ram"})
      .ShowDefault();
  all.Add("--weights", globals.weights,
          "Run on a packed copy, made while loading, or on the file's blocks; auto: packed, "
          "but for a few generated tokens")
      .AmongInAnyCase({"auto", "mapped", "packed"})
      .ShowDefault();
  all.Switch("--deterministic", globals.deterministic,
             "The same logits, bit for bit, whatever a sequence is batched with and however it is "
             "chunked; prompts take longer");
  all.Switch("--json", globals.json, "Print JSON instead of tables");
  all.Switch("--quiet", globals.quiet, "No progress bars");
}

void ApplyIsa(CLI::App& app, const GlobalOptions& globals) {
  try {
    if (!Subcommand(app).Given({"--isa"}).empty()) {
      kernels::SelectIsa(globals.isa);
    } else {
      kernels::SelectIsaFromEnvironment();
    }
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

void WarnOfThreads(size_t threads) {
  const size_t usable = bench::UsableCpus();
  if (threads <= usable) return;
  Warn(
      fmt::format("{} on {} that this process may use: threads wait for each other, and all is "
                  "slower than with {}",
                  Counted(threads, "thread"), Counted(usable, "CPU"), Counted(usable, "thread")));
}

Flag AddModel(const Subcommand& command, std::string& path, const std::string& what) {
  return command.Add("-m,--model,model", path, what).NotEmpty().Type("MODEL");
}

Flag AddModels(const Subcommand& command, std::vector<std::string>& paths,
               const std::string& what) {
  return command.Add("-m,--model,models", paths, what).NotEmpty().Type("MODEL...");
}

void RefuseOutputOverInput(const std::string& output, const std::vector<std::string>& inputs) {
  std::error_code none;
  const bool is_file = std::filesystem::is_regular_file(output, none);
  const bool is_new = !std::filesystem::exists(output, none);
  if (output.empty() || !(is_file || is_new)) return;  // a device may well be both
  for (const std::string& input : inputs) {
    if (input.empty() || input == "-") continue;
    std::error_code error;  // one of them is not there: nothing to compare
    const bool same = std::filesystem::equivalent(input, output, error) && !error;
    const std::filesystem::path a = std::filesystem::absolute(input, error).lexically_normal();
    if (same || a == std::filesystem::absolute(output, error).lexically_normal()) {
      throw UsageError(fmt::format(
          "{} would be written over {}, which is read; name another output", output, input));
    }
  }
}

void RefuseCsvWithJson(bool csv, const GlobalOptions& globals) {
  if (csv && globals.json) throw UsageError("--csv and --json exclude each other");
}

}  // namespace crossover::tools
