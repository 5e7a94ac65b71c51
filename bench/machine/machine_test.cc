#include "bench/machine/machine.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/error.h"
#include "bench/machine/machine_cache.h"
#include "bench/machine/machine_info.h"
#include "kernels/isa.h"
#include "kernels/probe.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

MachineOptions SmallOptions() {
  // Nothing here depends on how fast the machine is, so a small buffer will do.
  return {.threads = 2, .memory_bytes = size_t{8} << 20};
}

TEST_CASE("machine: every figure is positive and its spread in order") {
  size_t steps = 0, total = 0;
  MachineOptions options = SmallOptions();
  options.progress = [&](size_t done, size_t all) {
    CHECK(done == steps + 1);
    steps = done;
    total = all;
  };
  const MachineLimits limits = MeasureMachine(options);
  CHECK(steps == total);
  CHECK(limits.isa == kernels::SelectedIsa());
  // Six levels and five units, with one thread and with two; a barrier of two.
  CHECK(limits.bandwidth.size() == 12);
  REQUIRE(limits.barrier.size() == 1);
  CHECK(limits.barrier[0].threads == 2);
  // Disturbed repetitions are repeated, which others on this machine decide.
  CHECK(limits.barrier[0].seconds.size() >= 5);
  CHECK(limits.barrier[0].seconds.size() == limits.barrier[0].conditions.repetitions.size());
  CHECK(limits.barrier[0].summary().min > 0);
  CHECK(limits.peak.size() == 10);

  size_t measured = 0;
  const auto check = [&](const auto& limit, size_t samples) {
    if (!limit.measured()) {
      CHECK_FALSE(limit.reason.empty());
      return;
    }
    ++measured;
    const Summary s = limit.summary();
    CHECK(s.min > 0);
    CHECK(s.min <= s.median);
    CHECK(s.median <= s.max);
    CHECK(samples >= 5);
    CHECK(samples <= 10);
    CHECK(samples == limit.conditions.repetitions.size());
    CHECK(limit.conditions.asked == 5);
  };
  for (const BandwidthLimit& limit : limits.bandwidth) {
    CAPTURE(limit.level);
    check(limit, limit.bytes_s.size());
    CHECK((limit.working_set_bytes > 0) == limit.measured());
  }
  for (const PeakLimit& limit : limits.peak) {
    CAPTURE(limit.unit);
    check(limit, limit.operations_s.size());
  }
  const nlohmann::json json = MachineJson(limits);
  CHECK(json.at("barrier").at(0).at("microseconds").get<double>() ==
        doctest::Approx(limits.barrier[0].summary().median * 1e6));
  const MachineLimits again = MachineFromJson(json);
  CHECK(again.ReadBandwidth(2).value() == doctest::Approx(limits.ReadBandwidth(2).value()));
  CHECK(MachineTable(again) == MachineTable(limits));
  CHECK(measured >= 2);  // memory in 4 KiB pages can always be read
  REQUIRE(limits.ReadBandwidth(1));
  REQUIRE(limits.ReadBandwidth(2));
  CHECK(limits.ReadBandwidth(64) == limits.ReadBandwidth(2));
  CHECK_FALSE(limits.ReadBandwidth(0));
}

TEST_CASE("machine: what is not there says why") {
  for (const kernels::PeakLoop& loop : kernels::PeakLoops()) {
    CAPTURE(std::string(loop.unit));
    CHECK((loop.run == nullptr) == !loop.missing.empty());
    if (loop.run != nullptr) CHECK(loop.operations > 0);
  }
  // The plain level has no vector unit to measure: all units are absent, and all say why.
  const std::string previous(kernels::SelectedIsa());
  kernels::SelectIsa("scalar");
  MachineOptions options = SmallOptions();
  options.quick = true;
  const MachineLimits limits = MeasureMachine(options);
  kernels::SelectIsa(previous);
  for (const PeakLimit& limit : limits.peak) {
    CHECK_FALSE(limit.measured());
    CHECK_FALSE(limit.reason.empty());
  }
  CHECK(limits.BestFloatPeak(2) == nullptr);
  CHECK_FALSE(limits.Peak("f32_fma", 2));
  const nlohmann::json json = MachineJson(limits);
  for (const auto& row : json.at("peak")) {
    CHECK(row.at("gop_s").is_null());
    CHECK_FALSE(row.at("reason").get<std::string>().empty());
  }
}

TEST_CASE("machine: limits are looked up by the nearest thread count below") {
  MachineLimits limits;
  limits.bandwidth = {{.level = "L2", .threads = 4, .bytes_s = {9e9}},
                      {.level = "memory_4k", .threads = 1, .bytes_s = {3.0, 1.0, 2.0}},
                      {.level = "memory_huge", .threads = 1, .bytes_s = {4.0, 5.0, 6.0}},
                      {.level = "memory_4k", .threads = 4, .bytes_s = {8.0}},
                      {.level = "memory_huge", .threads = 4, .reason = "no huge pages"}};
  limits.peak = {{.unit = "f32_fma", .threads = 1, .operations_s = {10.0}},
                 {.unit = "int8_dot", .threads = 1, .operations_s = {90.0}},
                 {.unit = "amx_bf16", .threads = 1, .reason = "absent"},
                 {.unit = "bf16_dot", .threads = 1, .operations_s = {20.0}},
                 {.unit = "amx_int8", .threads = 1, .operations_s = {99.0}}};
  CHECK(limits.ReadBandwidth(1) == 5.0);  // the better page size's median
  CHECK(limits.ReadBandwidth(3) == 5.0);
  CHECK(limits.ReadBandwidth(4) == 8.0);
  CHECK(limits.Peak("f32_fma", 8) == 10.0);
  CHECK_FALSE(limits.Peak("amx_bf16", 8));
  REQUIRE(limits.BestFloatPeak(2) != nullptr);
  CHECK(limits.BestFloatPeak(2)->unit == "bf16_dot");
}

TEST_CASE("machine: JSON, table and CSV tell the same") {
  MachineLimits limits;
  limits.isa = "avx2";
  limits.bandwidth = {
      {.level = "L1", .threads = 1, .working_set_bytes = 24576, .bytes_s = {2e9, 1e9, 3e9}}};
  limits.peak = {{.unit = "amx_bf16", .threads = 1, .reason = "this CPU lacks AMX, really"}};
  const nlohmann::json json = MachineJson(limits);
  CHECK(json.at("bandwidth").at(0).at("level") == "L1");
  CHECK(json.at("bandwidth").at(0).at("gb_s") == 2.0);
  CHECK(json.at("bandwidth").at(0).at("gb_s_min") == 1.0);
  CHECK(json.at("bandwidth").at(0).at("gb_s_max") == 3.0);
  CHECK(json.at("bandwidth").at(0).at("repetitions") == 3);
  CHECK(json.at("peak").at(0).at("gop_s").is_null());
  const std::string table = MachineTable(limits);
  CHECK(table.find("24 KiB") != std::string::npos);
  CHECK(table.find("n/a") != std::string::npos);
  CHECK(table.find("this CPU lacks AMX, really") != std::string::npos);
  const std::string csv = MachineCsv(limits);
  CHECK(csv.find("bandwidth,L1,24 KiB,1,GB/s,2,1,3,3,,\n") != std::string::npos);
  CHECK(csv.find("peak,amx_bf16,,1,GOP/s,,,,0,\"this CPU lacks AMX, really\",\n") !=
        std::string::npos);
}

TEST_CASE("machine: a disturbed figure is marked everywhere, and counted") {
  const Disturbance busy{.wall_s = 1, .run_wait = 0.5};
  const Disturbance quiet{.wall_s = 1, .run_wait = 0.0};
  MachineLimits limits;
  limits.isa = "avx2";
  limits.bandwidth = {{.level = "memory_huge",
                       .threads = 1,
                       .bytes_s = {2e9, 1e9},
                       .conditions = {.asked = 1, .repetitions = {busy, busy}}},
                      {.level = "L1",
                       .threads = 1,
                       .bytes_s = {2e9, 8e9},
                       .conditions = {.asked = 1, .repetitions = {busy, quiet}}}};
  CHECK(limits.ReadBandwidth("L1", 1) == 8e9);  // of the quiet one alone
  CHECK(limits.Disturbed().disturbed() == 1);
  CHECK(limits.Disturbed("memory"));
  CHECK_FALSE(limits.Disturbed("L1"));
  const std::string table = MachineTable(limits);
  CHECK(table.find("1.50!") != std::string::npos);
  CHECK(table.find("! disturbed: 1 of 2 figures (waiting for a CPU up to 50 %)") !=
        std::string::npos);
  const nlohmann::json json = MachineJson(limits);
  CHECK(json.at("bandwidth").at(0).at("disturbed") == true);
  CHECK(json.at("bandwidth").at(1).at("disturbed") == false);
  CHECK(MachineFromJson(json).Disturbed().disturbed() == 1);
  CHECK(MachineTable(MachineFromJson(json)) == table);
}

TEST_CASE("machine cache: found again under the same key alone, and never trusted blindly") {
  const test::TemporaryDirectory directory;
  const auto file = directory / "sub/machine.json";
  const MachineKey key{.cpu = "A", .isa = "avx2", .version = "1", .threads = 2, .repetitions = 5};
  MachineLimits limits;
  limits.isa = "avx2";
  limits.date = "2026-11-21T09:00:00Z";
  limits.peak = {{.unit = "f32_fma", .threads = 1, .operations_s = {2e9, 1e9, 3e9}}};
  CHECK_FALSE(ReadMachineCache(file, key));
  WriteMachineCache(file, key, limits);
  const auto found = ReadMachineCache(file, key);
  REQUIRE(found);
  CHECK(found->date == limits.date);
  CHECK(found->Peak("f32_fma", 1).value() == doctest::Approx(2e9));
  for (MachineKey other : {MachineKey{.cpu = "B"}, MachineKey{.isa = "amx"},
                           MachineKey{.version = "2"}, MachineKey{.threads = 1}}) {
    if (other.cpu.empty()) other.cpu = key.cpu;
    if (other.isa.empty()) other.isa = key.isa;
    if (other.version.empty()) other.version = key.version;
    if (other.threads == 0) other.threads = key.threads;
    other.repetitions = key.repetitions;
    CHECK_FALSE(ReadMachineCache(file, other));
  }
  for (const char* damaged : {"", "{", "[]", "{}", R"({"key": {}, "limits": 7})"}) {
    std::ofstream(file) << damaged;
    CHECK_FALSE(ReadMachineCache(file, key));
  }
  // The name of a file depends on the key, its folder on the environment.
  MachineKey other = key;
  other.isa = "amx";
  CHECK(MachineCachePath("/c", "/h", key) != MachineCachePath("/c", "/h", other));
  CHECK(MachineCachePath("/c", "/h", key).string().starts_with("/c/crossover/"));
  CHECK(MachineCachePath("", "/h", key).string().starts_with("/h/.cache/crossover/"));
  CHECK(MachineCachePath("", "", key).empty());
}

TEST_CASE("machine: thread counts are powers of two and the most") {
  CHECK(ThreadCounts(1) == std::vector<size_t>{1});
  CHECK(ThreadCounts(2) == std::vector<size_t>{1, 2});
  CHECK(ThreadCounts(12) == std::vector<size_t>{1, 2, 4, 8, 12});
}

TEST_CASE("machine: caches and huge pages as /sys writes them") {
  const test::TemporaryDirectory root;
  CHECK(ReadCaches(root.path()).empty());
  CHECK(ReadHugePageMode(root.path()).empty());
  const auto write = [&](const std::string& name, const std::string& text) {
    const auto path = root / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  };
  const auto cache = [&](int index, const char* level, const char* type, const char* size,
                         const char* cpus) {
    const std::string folder =
        "sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    write(folder + "level", level);
    write(folder + "type", type);
    write(folder + "size", size);
    write(folder + "shared_cpu_list", cpus);
  };
  cache(0, "1", "Data", "48K", "0,64");
  cache(1, "1", "Instruction", "64K", "0,64");
  cache(2, "2", "Unified", "2048K", "0");
  cache(3, "3", "Unified", "491520K", "0-31,64-95");
  write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
  const auto caches = ReadCaches(root.path());
  REQUIRE(caches.size() == 3);
  CHECK(caches[0].bytes == 48 * 1024);
  CHECK(caches[0].sharers == 2);
  CHECK(caches[1].sharers == 1);
  CHECK(caches[2].level == 3);
  CHECK(caches[2].bytes == 480u << 20);
  CHECK(caches[2].sharers == 64);
  CHECK(ReadHugePageMode(root.path()) == "madvise");
}

}  // namespace
}  // namespace crossover::bench
