#include "bench/machine/usage.h"

#include <sys/mman.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/data_path.h"
#include "base/error.h"
#include "bench/machine/system.h"
#include "engine/files/mapped_file.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

void Write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST_CASE("usage: page faults and CPU time of what was just done") {
  const Usage start = Usage::Now();
  constexpr size_t kBytes = size_t{8} << 20;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  madvise(memory, kBytes, MADV_NOHUGEPAGE);
  volatile auto* bytes = static_cast<volatile char*>(memory);
  for (size_t i = 0; i < kBytes; i += 4096) bytes[i] = 1;
  Usage used = Usage::Now().Since(start);
  munmap(memory, kBytes);
  CHECK(used.minor_faults >= 100);  // 2048 pages of 4 KiB; 128 of 64 KiB
  CHECK(used.wall_s > 0);
  CHECK(used.cpu_s >= 0);
  const uint64_t faults = used.minor_faults;
  used += used;
  CHECK(used.minor_faults == 2 * faults);
  const Usage half{.wall_s = 2, .cpu_s = 2};
  CHECK(half.Utilisation(2) == doctest::Approx(0.5));
  CHECK(Usage{}.Utilisation(2) == 0);
}

TEST_CASE("usage: a file's part of memory, from smaps") {
  const test::TemporaryDirectory root;
  const auto file = root / "model.gguf";
  Write(file, "x");
  const std::string name = std::filesystem::weakly_canonical(file).string();
  Write(root / "smaps", "7f00-7f80 r--p 00000000 fe:00 1 " + name +
                            "\nSize: 512 kB\nRss:    100 kB\nPss: 9 kB\n" +
                            "7f80-7f90 r--p 00000000 fe:00 1 " + name + ".other\nRss: 7 kB\n" +
                            "7f90-7fa0 rw-p 00000000 00:00 0\nRss:  50 kB\n" +
                            "7fb0-7fc0 r--p 00000000 fe:00 1 " + name + "\nRss: 20 kB\n");
  CHECK(MappedRssBytes(file, root / "smaps") == 120 * 1024);
  CHECK(MappedRssBytes(root / "else", root / "smaps") == 0);
  CHECK_FALSE(MappedRssBytes(file, root / "absent"));
}

TEST_CASE("usage: a real mapping counts, and is in all that is in memory") {
  const auto path = DataPath("models/reference-xs.gguf");
  const auto file = engine::MappedFile::Open(path);
  unsigned sum = 0;
  for (const std::byte b : file->bytes()) sum += static_cast<unsigned>(b);
  CHECK(sum > 0);
  const auto mapped = MappedRssBytes(path);
  REQUIRE(mapped);
  CHECK(*mapped >= file->bytes().size() / 2);
  REQUIRE(RssBytes());
  CHECK(*RssBytes() > 0);
}

TEST_CASE("usage: dropping a file from the page cache says what is left") {
  const test::TemporaryDirectory root;
  Write(root / "file", std::string(1 << 20, 'x'));
  const auto left = DropFromPageCache(root / "file");
  if (left) {
    CHECK(*left >= 0);
    CHECK(*left <= 1);
  }
  CHECK_THROWS_AS(DropFromPageCache(root / "absent"), Error);
}

TEST_CASE("usage: the clock, as cpufreq or /proc/cpuinfo tell") {
  const test::TemporaryDirectory root;
  CHECK(ReadFrequency(root.path()).mhz == 0);
  CHECK_FALSE(ReadFrequency(root.path()).source.empty());
  Write(root / "proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2600.125\n");
  CHECK(ReadFrequency(root.path()).mhz == doctest::Approx(2600.125));
  Write(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3100000\n");
  CHECK(ReadFrequency(root.path()).mhz == 3100);
  CHECK(ReadFrequency(root.path()).source == "cpufreq");
}

}  // namespace
}  // namespace crossover::bench
