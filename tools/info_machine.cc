#include "tools/info_machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/table.h"
#include "bench/machine_info.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"

namespace crossover::tools {
namespace {

constexpr std::string_view kBandwidthSource =
    "not measured by info; `crossover bench machine` measures it";

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
  json["bandwidth_source"] = kBandwidthSource;
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
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

// One row for an operation, with the formats it is there for: sixty rows tell nobody anything.
std::string KernelTable() {
  using Operation = std::pair<std::string, std::string>;  // name, ISA
  std::vector<Operation> order;
  std::map<Operation, std::string> formats;
  for (const kernels::KernelName& kernel : kernels::MatMulKernels()) {
    const size_t slash = kernel.name.find('/');
    const Operation operation{kernel.name.substr(0, slash), std::string(kernel.isa)};
    if (formats.count(operation) == 0) order.push_back(operation);
    if (slash != std::string::npos) formats[operation] += kernel.name.substr(slash + 1) + " ";
  }
  Table table({{"kernel", Table::Align::kLeft},
               {"ISA", Table::Align::kLeft},
               {"formats", Table::Align::kLeft}});
  for (const Operation& operation : order) {
    table.AddRow({operation.first, operation.second, formats[operation]});
  }
  return table.Text();
}

void PrintText() {
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
  fmt::print("bandwidth   {}\n\n{}", kBandwidthSource, KernelTable());
}

}  // namespace

void PrintMachine(const GlobalOptions& globals) {
  if (globals.json) return PrintJson(globals);
  PrintText();
}

}  // namespace crossover::tools
