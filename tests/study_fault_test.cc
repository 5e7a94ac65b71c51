// Faults injected into a study (support/fault_shim.cc): into its own process, which must end with
// a line and status 1 or go on without the cell, and into those of its cells, which must cost their
// cell alone. Whatever failed, what is written is whole, and the same call brings the figures of a
// study that nothing disturbed.
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/output_file.h"
#include "tests/support/fault_points.h"
#include "tests/support/quality_study.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

// As the first and the second word of the processes have it (CROSSOVER_FAULT_IN).
constexpr const char* kParent = "study";
constexpr const char* kQuantising = "\"step\":\"quantize\"";
constexpr const char* kMeasuring = "\"step\":\"measure\"";

class Subject {
 public:
  explicit Subject(const std::string& place) : place_(place) {
    study_.Reset();
    const std::string counts = study_.directory().string() + ".counts";
    const ProcessResult result = Run({{"CROSSOVER_FAULT_COUNT", counts}});
    CAPTURE(result.err);
    REQUIRE(result.ok());
    REQUIRE(study_.FaultAtEnd().empty());
    counts_ = ReadCounts(counts);
    std::filesystem::remove(counts);
  }

  uint64_t count(const std::string& kind) const { return counts_.at(kind); }

  /// True if the run did not get through.
  bool Try(const std::string& fault) {
    study_.Reset();
    const ProcessResult result = Run({{"CROSSOVER_FAULT", fault}});
    CAPTURE(place_);
    CAPTURE(fault);
    CAPTURE(result.err);
    CHECK_FALSE(result.timed_out);
    CHECK((result.exit_code == 0 || result.exit_code == 1));
    CHECK(study_.Unfinished() == 0);
    CHECK(study_.Fault() == "");
    // What could not be deleted may stay, until the next call.
    if (result.ok() && study_.FaultAtEnd().empty()) return false;
    CHECK((result.ok() || !result.err.empty()));
    CHECK(CountLines(result.err) <= 3);
    const ProcessResult again = Run({});
    CAPTURE(again.err);
    CHECK(again.ok());
    CHECK(study_.FaultAtEnd() == "");
    return !result.ok();
  }

 private:
  ProcessResult Run(Environment environment) {
    environment.emplace_back("LD_PRELOAD", CROSSOVER_FAULT_SHIM);
    environment.emplace_back("CROSSOVER_FAULT_IN", place_);
    std::vector<std::string> words = study_.words();
    words.push_back("--quiet");
    return RunCrossover(words,
                        {.directory = study_.directory(), .environment = std::move(environment)});
  }

  const std::string place_;
  const QualityStudy study_;
  std::map<std::string, uint64_t> counts_;
};

TEST_CASE("faults: a study ends in a line or does without the cell, and goes on where it was") {
  if (!CROSSOVER_REAL_ALLOCATOR) return Skip("a sanitizer has an allocator of its own");
  size_t failed = 0, tried = 0;
  for (const char* place : {kParent, kQuantising, kMeasuring}) {
    Subject subject(place);
    for (const char* kind : {"alloc", "map", "thread", "spawn", "open", "read", "write", "fsync",
                             "truncate", "rename", "mkdir", "lock"}) {
      const std::string ending = std::string(kind) == "alloc" ? "+" : "";
      for (const uint64_t n : Points(subject.count(kind), PointsAsked(3))) {
        failed += subject.Try(fmt::format("{}:{}{}", kind, n, ending)) ? 1 : 0;
        ++tried;
      }
    }
    for (const char* kind : {"short-read", "short-write", "eintr"}) {
      for (const uint64_t n : Points(subject.count(kind), PointsAsked(1))) {
        CAPTURE(place);
        CHECK_FALSE(subject.Try(fmt::format("{}:{}", kind, n)));
        ++tried;
      }
    }
  }
  MESSAGE(tried, " points tried, of which ", failed, " ended the run or a cell");
  CHECK(failed > 30);
}

}  // namespace
}  // namespace crossover::test
