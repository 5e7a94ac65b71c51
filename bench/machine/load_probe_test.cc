#include "bench/machine/load_probe.h"

#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

/// A root directory with made-up counters.
class FakeRoot {
 public:
  void Write(const std::string& file, const std::string& text) const {
    fs::create_directories((directory_ / file).parent_path());
    WriteFile(directory_ / file, text);
  }
  fs::path path() const { return directory_.path(); }

 private:
  test::TemporaryDirectory directory_;
};

/// Ticks of a CPU that this process may use.
std::string StatLine(const std::string& ticks) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  REQUIRE(sched_getaffinity(0, sizeof(mask), &mask) == 0);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &mask)) ++cpu;
  return "cpu" + std::to_string(cpu) + " " + ticks + "\n";
}

TEST_CASE("load probe: /proc/stat's CPUs, guests not counted twice") {
  const FakeRoot root;
  root.Write("proc/stat", "cpu  999 0 0 0 0 0 0 0 0 0\n" + StatLine("100 20 30 400 50 6 7 8 60 5") +
                              "cpu1000000 1 1 1 1 1 1 1 1 1 1\nintr 5\ncpu0 9 9 9 9 9 9 9 9 9 9\n");
  LoadProbe probe(root.path());
  const LoadSnapshot look = probe.Look();
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  CHECK(*look.busy_s == doctest::Approx(163 * tick));
  CHECK(*look.steal_s == doctest::Approx(8 * tick));
  CHECK(look.cpus >= 1);
}

TEST_CASE("load probe: threads' waiting, a quota's stops of either cgroup version, pressure") {
  const FakeRoot root;
  root.Write("proc/self/task/17/schedstat", "1000 250000000 3\n");
  root.Write("proc/self/task/18/schedstat", "1000 1500000000 3\n");
  root.Write("proc/pressure/cpu",
             "some avg10=1.00 avg60=0.00 avg300=0.00 total=2500000\n"
             "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
  root.Write("proc/self/cgroup", "0::/a/b\n5:cpu,cpuacct:/docker/x\n3:cpuset:/y\n");
  root.Write("sys/fs/cgroup/a/b/cpu.stat", "usage_usec 9\nthrottled_usec 250000\n");
  root.Write("sys/fs/cgroup/a/cpu.stat", "throttled_usec 1000000\n");
  root.Write("sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_throttled 3\nthrottled_time 500000000\n");
  LoadProbe probe(root.path());
  const LoadSnapshot look = probe.Look();
  REQUIRE(look.run_wait_s);
  CHECK(look.run_wait_s->at(17) == doctest::Approx(0.25));
  CHECK(look.run_wait_s->at(18) == doctest::Approx(1.5));
  CHECK(*look.throttled_s == doctest::Approx(1.75));
  CHECK(*look.pressure_s == doctest::Approx(2.5));
}

TEST_CASE("load probe: what is hidden is absent, each with its reason") {
  const FakeRoot root;
  LoadProbe probe(root.path());
  const LoadSnapshot look = probe.Look();
  CHECK_FALSE(look.busy_s);
  CHECK_FALSE(look.run_wait_s);
  CHECK_FALSE(look.throttled_s);
  CHECK_FALSE(look.pressure_s);
  CHECK_FALSE(look.mhz);
  for (const char* what : {"others", "steal", "run_wait", "throttled", "pressure", "frequency"}) {
    CAPTURE(what);
    CHECK_FALSE(probe.unknown().at(what).empty());
  }
  // Some sandboxes have the file and count nothing.
  root.Write("proc/stat", StatLine("0 0 0 0 0 0 0 0 0 0"));
  CHECK_FALSE(probe.Look().busy_s);
}

TEST_CASE("load probe: the files of quotas") {
  const FakeRoot root;
  CHECK(QuotaFiles(root.path()).empty());
  root.Write("proc/self/cgroup", "4:memory:/m\n2:cpu:/g\n");
  root.Write("sys/fs/cgroup/cpu/g/cpu.stat", "throttled_time 1\n");
  const auto files = QuotaFiles(root.path());
  REQUIRE(files.size() == 1);
  CHECK(files[0] == root.path() / "sys/fs/cgroup/cpu/g/cpu.stat");
}

TEST_CASE("watch: a repetition has its time and this process's switches, never less than nothing") {
  Watch watch(1);
  Conditions conditions{.asked = 1};
  watch.Start();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  watch.Stop(conditions);
  REQUIRE(conditions.repetitions.size() == 1);
  const Disturbance& d = conditions.repetitions[0];
  CHECK(d.wall_s >= 0.02);
  for (const auto& share : {d.run_wait, d.others, d.steal, d.throttled, d.pressure}) {
    if (share) CHECK(*share >= 0);
  }
}

}  // namespace
}  // namespace crossover::bench
