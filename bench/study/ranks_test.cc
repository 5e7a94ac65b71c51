#include "bench/study/ranks.h"

#include <cstdlib>
#include <initializer_list>
#include <utility>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

/// Variables that are gone with the object.
class Environment {
 public:
  Environment(std::initializer_list<std::pair<const char*, const char*>> variables)
      : variables_(variables) {
    for (const auto& [name, value] : variables_) setenv(name, value, 1);
  }
  ~Environment() {
    for (const auto& [name, value] : variables_) unsetenv(name);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::vector<std::pair<const char*, const char*>> variables_;
};

TEST_CASE("without a launcher a process is alone, and each start has its name") {
  const Ranks ranks = RanksOfEnvironment();
  CHECK(ranks.alone());
  CHECK(ranks.rank == 0);
  CHECK_FALSE(ranks.run.empty());
}

TEST_CASE("Slurm's variables tell the ranks apart and name the step they share") {
  Environment step{{"SLURM_PROCID", "2"},
                   {"SLURM_STEP_NUM_TASKS", "4"},
                   {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
                   {"SLURM_JOB_ID", "77"},
                   {"SLURM_STEP_ID", "1"}};
  const Ranks ranks = RanksOfEnvironment();
  CHECK(ranks.rank == 2);
  CHECK(ranks.size == 4);
  CHECK(ranks.sharers == 2);
  CHECK(ranks.run == "77.1");
  CHECK_FALSE(ranks.alone());
}

TEST_CASE("a batch script of Slurm's is no rank") {
  Environment script{{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "77"}};
  CHECK(RanksOfEnvironment().alone());
}

}  // namespace
}  // namespace crossover::bench
