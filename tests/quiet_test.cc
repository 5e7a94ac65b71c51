// Beside competitors for every CPU, what is measured says that it was disturbed, and nothing is
// claimed of it.
#include <sched.h>

#include <chrono>
#include <filesystem>
#include <list>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Busy processes, one more than there are CPUs, for as long as it lives.
class Competitors {
 public:
  Competitors() {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    const int cpus = sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 1;
    for (int i = 0; i <= cpus; ++i) {
      processes_.emplace_back(std::vector<std::string>{"sh", "-c", "while :; do :; done"});
    }
  }

 private:
  std::list<Process> processes_;
};

/// Beside that many others, on a machine that compiles something too, seconds become minutes.
ProcessOptions Patient() { return {.timeout = std::chrono::minutes(10)}; }

/// Where the system hides all that could tell of others there is nothing to test.
bool NothingIsTold(const json& conditions) {
  const json& missing = conditions.at("not_available");
  return missing.contains("others") && missing.contains("run_wait") && missing.contains("pressure");
}

std::vector<json> Records(const fs::path& file) {
  std::vector<json> records;
  std::istringstream lines(ReadFile(file));
  for (std::string line; std::getline(lines, line);) records.push_back(json::parse(line));
  return records;
}

TEST_CASE("a study beside competitors marks every cell, and its claims leave them out") {
  const TemporaryDirectory directory;
  const json plan{{"name", "busy"},
                  {"models", {"embedded:xs"}},
                  {"recipes", {"F16", "Q8_0"}},
                  {"metrics",
                   {{"speed", {{"prefill", 16}, {"decode", 4}, {"repetitions", 2}}},
                    {"crossover", {{"tokens", {1, 8}}, {"repetitions", 2}}}}}};
  WriteFile(directory / "plan.json", plan.dump());
  const std::string out = (directory / "out").string();
  {
    const Competitors competitors;
    const ProcessResult study = RunCrossover(
        {"study", (directory / "plan.json").string(), "--out", out, "--threads", "1"}, Patient());
    INFO(study.err);
    REQUIRE(study.ok());
  }
  auto records = Records(directory / "out" / "results.jsonl");
  REQUIRE(records.size() == 2);
  if (NothingIsTold(records[0].at("measurement").at("decode").at("conditions"))) {
    Skip("the system tells nothing of what else runs");
    return;
  }
  for (const json& record : records) {
    const json& m = record.at("measurement");
    for (const char* test : {"prefill", "decode"}) {
      CHECK(m.at(test).at("disturbed") == true);
      // As many more as were asked for.
      CHECK(m.at(test).at("conditions").at("repetitions").size() == 4);
    }
    for (const json& cell : m.at("crossover").at("cells")) CHECK(cell.at("disturbed") == true);
    CHECK_FALSE(record.at("machine").at("limits").at("disturbed").get<std::string>().empty());
  }
  const ProcessResult report = RunCrossover({"report", out});
  REQUIRE(report.ok());
  CHECK(Contains(report.out, "The machine was not quiet: 2 of 2 cells were disturbed ("));
  CHECK(Contains(report.out,
                 "fewer than three undisturbed cells a model; left out as disturbed: 2)"));
  CHECK(Contains(report.out, "Passes left out as disturbed: 4."));
  const std::string page = ReadFile(directory / "out" / "report.html");
  CHECK(Contains(page, "<p class=\"warning\">The machine was not quiet: 2 of 2"));
  CHECK(Contains(page,
                 "fewer than four passes were measured undisturbed; left out as disturbed: 4."));

  // What a program wrote that did not record it is still read.
  std::string old;
  for (json& record : records) {
    json& m = record.at("measurement");
    record.at("machine").at("limits").erase("disturbed");
    for (json* timed : {&m.at("prefill"), &m.at("decode"), &m.at("crossover").at("cells").at(0),
                        &m.at("crossover").at("cells").at(1)}) {
      timed->erase("disturbed");
      timed->erase("conditions");
    }
    old += record.dump() + "\n";
  }
  WriteFile(directory / "out" / "results.jsonl", old);
  const ProcessResult again = RunCrossover({"report", out});
  REQUIRE(again.ok());
  CHECK(Contains(again.out, "What else ran is unknown for 2 of 2 cells."));
  CHECK_FALSE(Contains(again.out, "not quiet"));
}

TEST_CASE("bench model, machine and kernels beside competitors mark their figures") {
  const TemporaryDirectory cache;
  const Competitors competitors;
  const ProcessResult model = RunCrossover({"bench", "model", EmbeddedXs(), "-p", "16", "-n", "4",
                                            "-r", "2", "--threads", "1", "--json"},
                                           Patient());
  INFO(model.err);
  REQUIRE(model.ok());
  const json rows = json::parse(model.out);
  if (NothingIsTold(rows[0].at("conditions"))) {
    Skip("the system tells nothing of what else runs");
    return;
  }
  for (const json& row : rows) CHECK(row.at("disturbed") == true);

  ProcessOptions own_cache = Patient();
  own_cache.environment = {{"XDG_CACHE_HOME", cache.path().string()}};
  const ProcessResult machine =
      RunCrossover({"bench", "machine", "--quick", "--threads", "1"}, own_cache);
  REQUIRE(machine.ok());
  CHECK(Contains(machine.out, "! disturbed: "));
  CHECK(Contains(machine.err, "not cached"));
  CHECK_FALSE(fs::exists(cache / "crossover"));

  const ProcessResult kernels = RunCrossover(
      {"bench", "kernels", "--op", "rms_norm", "--shape", "0.5b.row", "--threads", "1", "-r", "2"},
      Patient());
  INFO(kernels.err);
  REQUIRE(kernels.ok());
  CHECK(Contains(kernels.out, "! disturbed: "));
}

}  // namespace
}  // namespace crossover::test
