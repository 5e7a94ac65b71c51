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
  const auto one_of = [](std::vector<std::string> values) {
    return CLI::IsMember(std::move(values), CLI::ignore_case);
  };
  app.add_option("-t,--threads", globals.threads, "Threads (default: physical cores)")
      ->check(WholeFrom(1, 1024))
      ->type_name("N");
  app.add_option("--isa", globals.isa,
                 "Instruction-set level of the kernels (default: CROSSOVER_ISA, else the best)")
      ->type_name("LEVEL");
  app.add_option("--activations", globals.activations, "Form of activations in matrix products")
      ->transform(one_of(bench::ActivationNames()))
      ->capture_default_str();
  app.add_option("--kv-type", globals.kv_type, "Format of the KV cache")
      ->transform(one_of(bench::KvTypeNames()))
      ->capture_default_str();
  app.add_option("--load", globals.load, "Map the weights from the file or read them into RAM")
      ->transform(one_of({"mmap", "ram"}))
      ->capture_default_str();
  app.add_option("--weights", globals.weights,
                 "Run on a packed copy, made while loading, or on the file's blocks; auto: packed, "
                 "but for a few generated tokens")
      ->transform(one_of({"auto", "mapped", "packed"}))
      ->capture_default_str();
  app.add_flag(
      "--deterministic", globals.deterministic,
      "The same logits, bit for bit, whatever a sequence is batched with and however it is "
      "chunked; prompts take longer");
  app.add_flag("--json", globals.json, "Print JSON instead of tables");
  app.add_flag("--quiet", globals.quiet, "No progress bars");
}

void ApplyIsa(const CLI::App& app, const GlobalOptions& globals) {
  try {
    if (app.get_option("--isa")->count() > 0) {
      kernels::SelectIsa(globals.isa);
    } else {
      kernels::SelectIsaFromEnvironment();
    }
  } catch (const Error& error) {
    throw CLI::ValidationError(error.what());
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

CLI::Option* AddModel(CLI::App& command, std::string& path, const std::string& what) {
  return command.add_option("-m,--model,model", path, what)->check(NotEmpty())->type_name("MODEL");
}

CLI::Option* AddModels(CLI::App& command, std::vector<std::string>& paths,
                       const std::string& what) {
  return command.add_option("-m,--model,models", paths, what)
      ->check(NotEmpty())
      ->type_name("MODEL...");
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
      throw CLI::ValidationError(fmt::format(
          "{} would be written over {}, which is read; name another output", output, input));
    }
  }
}

void RefuseCsvWithJson(bool csv, const GlobalOptions& globals) {
  if (csv && globals.json) throw CLI::ValidationError("--csv and --json exclude each other");
}

void SetExamples(CLI::App& command, const std::string& examples) {
  command.footer("\nExamples:\n" + examples);
}

}  // namespace crossover::tools
