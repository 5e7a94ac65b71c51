#include "tools/info_machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/table.h"
#include "bench/machine/machine_info.h"
#include "kernels/choice.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/variants.h"

namespace crossover::tools {
namespace {

constexpr std::string_view kBandwidthSource =
    "not measured by info; `crossover bench machine` measures it";

constexpr size_t kShownTokens[] = {1, 16, 512};
// Query heads a KV head, as in Qwen2.5-1.5B.
constexpr size_t kShownGroup = 6;
constexpr size_t kFormatsWidth = 64;

/// One operation on one format, and the kernel that serves it with the settings given.
struct KernelUse {
  std::string operation;
  std::string format;
  std::string layout;
  size_t tokens = 0;  // 0: however many there are
  std::string kernel;
  std::string reason;
};

std::vector<KernelUse> KernelUses(const GlobalOptions& globals) {
  std::vector<KernelUse> uses;
  const auto add = [&](std::string_view operation, std::string_view format, std::string_view layout,
                       size_t tokens, const kernels::KernelChoice& choice) {
    uses.push_back({std::string(operation), std::string(format), std::string(layout), tokens,
                    std::string(choice.kernel), std::string(choice.reason)});
  };
  const auto activations = globals.engine_options().activations;
  for (const quant::FormatInfo& info : quant::Formats()) {
    for (const kernels::Layout layout : kernels::LayoutsOf(info.format)) {
      const kernels::Matrix w{.format = info.format, .layout = layout};
      for (const size_t tokens : kShownTokens) {
        add("matmul", info.name, kernels::LayoutName(layout), tokens,
            kernels::ChooseMatMul(w, activations, tokens));
      }
    }
  }
  for (const quant::Format format : kernels::KvFormats()) {
    for (const size_t tokens : kShownTokens) {
      add("attention", quant::Info(format).name, "", tokens,
          kernels::ChooseAttention(tokens, kShownGroup, activations != kernels::Activations::kF32));
    }
  }
  for (const kernels::RowOperation& operation : kernels::RowOperations()) {
    add(operation.name, "", "", 0,
        {.kernel = "rows_f32", .unit = "", .reason = "the only one, in float32"});
  }
  return uses;
}

/// Words in lines of about kFormatsWidth; one line at least.
std::vector<std::string> Wrap(const std::vector<std::string>& words) {
  std::vector<std::string> lines{""};
  for (const std::string& word : words) {
    if (!lines.back().empty() && lines.back().size() + word.size() > kFormatsWidth) {
      lines.emplace_back();
    }
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
  }
  return lines;
}

std::vector<std::string> AvailableIsas() {
  std::vector<std::string> names;
  for (const kernels::IsaLevel& level : kernels::IsaLevels()) {
    if (level.available) names.emplace_back(level.name);
  }
  return names;
}

void PrintJson(const GlobalOptions& globals) {
  const bench::MachineInfo machine = bench::ReadMachineInfo();
  nlohmann::json json;
  json["cpu"] = machine.cpu;
  json["cores"] = machine.cores;
  json["threads"] = globals.thread_count();
  json["memory_bytes"] = machine.memory_bytes;
  json["huge_pages"] = machine.huge_pages;
  json["caches"] = nlohmann::json::array();
  for (const bench::CacheInfo& cache : machine.caches) {
    json["caches"].push_back({{"level", cache.level},
                              {"type", cache.type},
                              {"bytes", cache.bytes},
                              {"sharers", cache.sharers}});
  }
  json["isa"] = {{"available", AvailableIsas()}, {"selected", kernels::SelectedIsa()}};
  json["kernels"] = nlohmann::json::array();
  for (const kernels::KernelName& kernel : kernels::MatMulKernels()) {
    json["kernels"].push_back({{"name", kernel.name}, {"isa", kernel.isa}});
  }
  json["choices"] = nlohmann::json::array();
  for (const KernelUse& use : KernelUses(globals)) {
    json["choices"].push_back({{"operation", use.operation},
                               {"format", use.format},
                               {"layout", use.layout},
                               {"tokens", use.tokens},
                               {"kernel", use.kernel},
                               {"isa", kernels::ExecutedIsa()},
                               {"reason", use.reason}});
  }
  json["bandwidth_source"] = kBandwidthSource;
  fmt::print("{}\n", DumpJson(json, 2));
}

std::string CachesText(const bench::MachineInfo& machine) {
  if (machine.caches.empty()) return "n/a (the system does not say)";
  std::vector<std::string> caches;
  for (const bench::CacheInfo& cache : machine.caches) {
    caches.push_back(fmt::format(
        "L{} {} KiB{}", cache.level, cache.bytes / 1024,
        cache.sharers > 1 ? fmt::format(" for {} CPUs", cache.sharers) : std::string()));
  }
  return fmt::format("{}", fmt::join(caches, ", "));
}

// A row for what is chosen alike, with its formats: a row a format tells nobody anything.
std::string KernelTable(const std::vector<KernelUse>& uses) {
  using Choice = std::tuple<std::string, std::string, std::string, std::string>;
  using Row = std::pair<Choice, std::string>;
  // First the numbers of tokens for which an operation on a format runs one kernel …
  std::vector<Row> keys;  // choice and format, as first met
  std::map<Row, std::string> tokens;
  for (const KernelUse& use : uses) {
    // Steps on rows have no formats: they share a row of the table themselves.
    const bool step = use.format.empty();
    const Row key{{step ? "rows" : use.operation, use.layout, use.kernel, use.reason},
                  step ? use.operation : use.format};
    if (tokens.count(key) == 0) keys.push_back(key);
    std::string& numbers = tokens[key];
    if (use.tokens > 0) numbers += (numbers.empty() ? "" : " ") + std::to_string(use.tokens);
  }
  // … then the formats for which that is the same.
  std::vector<Row> rows;  // choice and numbers
  std::map<Row, std::vector<std::string>> formats;
  for (const Row& key : keys) {
    const Row row{key.first, tokens[key]};
    if (formats.count(row) == 0) rows.push_back(row);
    formats[row].push_back(key.second);
  }
  using enum Table::Align;
  Table table({{"operation", kLeft},
               {"layout", kLeft},
               {"tokens", kLeft},
               {"kernel", kLeft},
               {"why", kLeft},
               {"formats or steps", kLeft}});
  for (const Row& row : rows) {
    const auto& [operation, layout, kernel, reason] = row.first;
    std::vector<std::string> cells{operation, layout, row.second, kernel, reason, ""};
    for (const std::string& line : Wrap(formats[row])) {
      cells.back() = line;
      table.AddRow(cells);
      cells.assign(cells.size(), "");
    }
  }
  return table.Text();
}

void PrintText(const GlobalOptions& globals) {
  const bench::MachineInfo machine = bench::ReadMachineInfo();
  fmt::print("CPU         {}\n", machine.cpu);
  fmt::print("cores       {} physical, usable by this process\n", machine.cores);
  fmt::print("memory      {}\n",
             machine.memory_bytes > 0
                 ? fmt::format("{:.1f} GB", static_cast<double>(machine.memory_bytes) / 1e9)
                 : std::string("n/a (the system does not say)"));
  fmt::print("huge pages  {}\n",
             machine.huge_pages.empty() ? "n/a (the system does not say)" : machine.huge_pages);
  fmt::print("caches      {}\n", CachesText(machine));
  fmt::print("ISA         {} (available: {})\n", kernels::SelectedIsa(),
             fmt::join(AvailableIsas(), ", "));
  fmt::print("bandwidth   {}\n\n{}\n", kBandwidthSource, KernelTable(KernelUses(globals)));
  fmt::print("activations {}; weights are {} unless --weights says otherwise\n",
             globals.activations, globals.weights);
}

}  // namespace

void PrintMachine(const GlobalOptions& globals) {
  if (globals.json) return PrintJson(globals);
  PrintText(globals);
}

}  // namespace crossover::tools
