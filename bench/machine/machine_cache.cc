#include "bench/machine/machine_cache.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/content_identity.h"
#include "base/data_path.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "base/output_file.h"
#include "bench/machine/machine_info.h"
#include "bench/machine/system.h"
#include "kernels/isa.h"

namespace crossover::bench {
namespace {

nlohmann::json KeyJson(const MachineKey& key) {
  return {{"cpu", key.cpu},         {"isa", key.isa},
          {"version", key.version}, {"cores", key.cores},
          {"threads", key.threads}, {"memory_bytes", key.memory_bytes},
          {"quick", key.quick},     {"repetitions", key.repetitions}};
}

}  // namespace

MachineKey ThisMachine(const std::string& version, size_t threads, size_t repetitions, bool quick) {
  const MachineInfo info = ReadMachineInfo();
  return {.cpu = info.cpu,
          .isa = std::string(kernels::SelectedIsa()),
          .version = version + " " + ContentIdentity(RunningProgram()),
          .cores = info.cores,
          .memory_bytes = info.memory_bytes,
          .threads = threads,
          .repetitions = repetitions,
          .quick = quick};
}

std::filesystem::path MachineCachePath(const std::string& xdg_cache_home, const std::string& home,
                                       const MachineKey& key) {
  if (xdg_cache_home.empty() && home.empty()) return {};
  const std::filesystem::path folder = xdg_cache_home.empty()
                                           ? std::filesystem::path(home) / ".cache"
                                           : std::filesystem::path(xdg_cache_home);
  return folder / "crossover" / fmt::format("machine-{}.json", Fingerprint(DumpJson(KeyJson(key))));
}

std::optional<MachineLimits> ReadMachineCache(const std::filesystem::path& file,
                                              const MachineKey& key) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) return std::nullopt;
  try {
    const nlohmann::json json = ParseJson(ReadFile(file), {.name = file.string()});
    if (json.at("key") != KeyJson(key)) return std::nullopt;
    return MachineFromJson(json.at("limits"));
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void WriteMachineCache(const std::filesystem::path& file, const MachineKey& key,
                       const MachineLimits& limits) {
  std::filesystem::create_directories(file.parent_path());
  const nlohmann::json json{{"key", KeyJson(key)}, {"limits", MachineJson(limits)}};
  WriteFile(file, DumpJson(json));
}

}  // namespace crossover::bench
