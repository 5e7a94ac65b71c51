#include "tools/info_machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/table.h"
#include "bench/system.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"

namespace crossover::tools {
namespace {

constexpr std::string_view kBandwidthSource =
    "not measured by info; `crossover bench machine` measures it";

struct Cache {
  std::string level;   // "L2"
  std::string type;    // "Unified"
  std::string size;    // as Linux writes it: "2048K"
  std::string shared;  // CPUs that share it: "0-1"
};

std::optional<std::string> FirstLine(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

// The first CPU's, as Linux tells them; empty where it does not (many virtual machines).
std::vector<Cache> Caches() {
  std::vector<Cache> caches;
  const std::filesystem::path root = "/sys/devices/system/cpu/cpu0/cache";
  for (int i = 0;; ++i) {
    const auto folder = root / fmt::format("index{}", i);
    const auto level = FirstLine(folder / "level");
    const auto size = FirstLine(folder / "size");
    if (!level || !size) return caches;
    caches.push_back({"L" + *level, FirstLine(folder / "type").value_or(""), *size,
                      FirstLine(folder / "shared_cpu_list").value_or("")});
  }
}

std::vector<std::string> AvailableIsas() {
  std::vector<std::string> names;
  for (const kernels::IsaLevel& level : kernels::IsaLevels()) {
    if (level.available) names.emplace_back(level.name);
  }
  return names;
}

void PrintJson(const GlobalOptions& globals) {
  nlohmann::json json;
  json["cpu"] = bench::CpuName();
  json["cores"] = bench::PhysicalCores();
  json["threads"] = globals.thread_count();
  json["memory_bytes"] = bench::MemoryBytes();
  json["caches"] = nlohmann::json::array();
  for (const Cache& cache : Caches()) {
    json["caches"].push_back({{"level", cache.level},
                              {"type", cache.type},
                              {"size", cache.size},
                              {"shared_cpus", cache.shared}});
  }
  json["isa"] = {{"available", AvailableIsas()}, {"selected", kernels::SelectedIsa()}};
  json["kernels"] = nlohmann::json::array();
  for (const kernels::KernelName& kernel : kernels::MatMulKernels()) {
    json["kernels"].push_back({{"name", kernel.name}, {"isa", kernel.isa}});
  }
  json["bandwidth_source"] = kBandwidthSource;
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void PrintText() {
  fmt::print("CPU         {}\n", bench::CpuName());
  fmt::print("cores       {} physical, usable by this process\n", bench::PhysicalCores());
  const uint64_t memory = bench::MemoryBytes();
  fmt::print("memory      {}\n", memory > 0
                                     ? fmt::format("{:.1f} GB", static_cast<double>(memory) / 1e9)
                                     : std::string("n/a (the system does not say)"));
  std::vector<std::string> caches;
  for (const Cache& cache : Caches()) {
    caches.push_back(
        fmt::format("{} {} {} (CPUs {})", cache.level, cache.type, cache.size, cache.shared));
  }
  fmt::print("caches      {}\n", caches.empty() ? std::string("n/a (the system does not say)")
                                                : fmt::format("{}", fmt::join(caches, ", ")));
  fmt::print("ISA         {} (available: {})\n", kernels::SelectedIsa(),
             fmt::join(AvailableIsas(), ", "));
  fmt::print("bandwidth   {}\n\n", kBandwidthSource);
  Table table({{"kernel", Table::Align::kLeft}, {"ISA", Table::Align::kLeft}});
  for (const kernels::KernelName& kernel : kernels::MatMulKernels()) {
    table.AddRow({kernel.name, std::string(kernel.isa)});
  }
  fmt::print("{}", table.Text());
}

}  // namespace

void PrintMachine(const GlobalOptions& globals) {
  if (globals.json) return PrintJson(globals);
  PrintText();
}

}  // namespace crossover::tools
