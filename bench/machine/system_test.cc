#include "bench/machine/system.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/data_path.h"
#include "base/error.h"
#include "base/fingerprint.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

void AddCpu(const std::filesystem::path& root, int cpu, int package, int core) {
  const auto topology =
      root / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu)) / "topology";
  std::filesystem::create_directories(topology);
  WriteFile(topology / "core_id", std::to_string(core) + "\n");
  WriteFile(topology / "physical_package_id", std::to_string(package) + "\n");
}

TEST_CASE("hyper-threads of one core count once, equal core ids of two packages twice") {
  const test::TemporaryDirectory root;
  CHECK(CountCores(root.path(), 8) == 0);
  AddCpu(root.path(), 0, 0, 0);
  AddCpu(root.path(), 1, 0, 1);
  AddCpu(root.path(), 2, 0, 0);
  AddCpu(root.path(), 3, 0, 1);
  CHECK(CountCores(root.path(), 8) == 2);
  AddCpu(root.path(), 4, 1, 0);
  CHECK(CountCores(root.path(), 8) == 3);
}

TEST_CASE("a CPU quota limits the cores, and no limit does not") {
  const test::TemporaryDirectory root;
  for (int cpu = 0; cpu < 4; ++cpu) AddCpu(root.path(), cpu, 0, cpu);
  std::filesystem::create_directories(root / "sys/fs/cgroup");
  WriteFile(root / "sys/fs/cgroup/cpu.max", "max 100000\n");
  CHECK(CountCores(root.path(), 8) == 4);
  WriteFile(root / "sys/fs/cgroup/cpu.max", "150000 100000\n");
  CHECK(CountCores(root.path(), 8) == 2);
}

TEST_CASE("the quota of a group around this process's counts, in both versions of cgroups") {
  const test::TemporaryDirectory root;
  for (int cpu = 0; cpu < 4; ++cpu) AddCpu(root.path(), cpu, 0, cpu);
  std::filesystem::create_directories(root / "proc/self");
  std::filesystem::create_directories(root / "sys/fs/cgroup/user.slice/job");
  WriteFile(root / "proc/self/cgroup", "0::/user.slice/job\n");
  WriteFile(root / "sys/fs/cgroup/user.slice/cpu.max", "300000 100000\n");
  CHECK(CountCores(root.path(), 8) == 3);
  WriteFile(root / "sys/fs/cgroup/user.slice/job/cpu.max", "100000 100000\n");
  CHECK(CountCores(root.path(), 8) == 1);

  WriteFile(root / "proc/self/cgroup", "5:memory:/other\n4:cpu,cpuacct:/job\n");
  std::filesystem::create_directories(root / "sys/fs/cgroup/cpu,cpuacct/job");
  WriteFile(root / "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  WriteFile(root / "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  CHECK(CountCores(root.path(), 8) == 4);
  WriteFile(root / "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "150000\n");
  CHECK(CountCores(root.path(), 8) == 2);
}

TEST_CASE("the peak resident size follows what is touched") {
  const auto before = PeakRssBytes();
  if (!before) {
    test::Skip("/proc/self/status has no VmHWM");
    return;
  }
  // Mapped by hand: an allocator may keep what is freed.
  constexpr size_t kBytes = size_t{64} << 20;
  void* touched = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(touched != MAP_FAILED);
  std::memset(touched, 1, kBytes);
  const uint64_t peak = *PeakRssBytes();
  CHECK(peak >= kBytes);
  munmap(touched, kBytes);
  // The kernel counts in batches, so that the peak may waver by some pages.
  CHECK(*PeakRssBytes() > peak - kBytes / 2);
  if (ResetPeakRss()) CHECK(*PeakRssBytes() <= peak - kBytes / 2);
}

TEST_CASE("data files come from CROSSOVER_DATA first, and a missing one names the places") {
  const test::TemporaryDirectory root;
  WriteFile(root / "only-here.txt", "x");
  REQUIRE(setenv("CROSSOVER_DATA", root.path().c_str(), 1) == 0);
  CHECK(DataPath("only-here.txt") == root / "only-here.txt");
  try {
    (void)DataPath("nowhere.txt");
    FAIL("found");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNotFound);
    CHECK(std::string(error.what()).find(root.path().string()) != std::string::npos);
  }
  unsetenv("CROSSOVER_DATA");
  CHECK(std::filesystem::exists(DataPath("meson_options.txt")));
}

TEST_CASE("fingerprints are FNV-1a") {
  CHECK(Fingerprint("") == "cbf29ce484222325");
  CHECK(Fingerprint("a") == "af63dc4c8601ec8c");
}

}  // namespace
}  // namespace crossover::bench
