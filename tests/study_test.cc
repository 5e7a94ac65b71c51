// What may end a study or a part of it, and that no more than that part is lost: kill -9 of the
// parent, of a cell's process, of a rank; no memory, no room on the disk.
#include <csignal>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/output_file.h"
#include "tests/support/processes.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class SmallStudy {
 public:
  explicit SmallStudy(std::vector<std::string> recipes, json models = {"embedded:xs"}) {
    const json plan{{"name", "small"},
                    {"models", std::move(models)},
                    {"recipes", recipes},
                    {"metrics", {{"speed", {{"prefill", 16}, {"decode", 4}, {"repetitions", 1}}}}}};
    WriteFile(directory_ / "plan.json", plan.dump());
  }

  std::vector<std::string> words() const {
    return {CrossoverBinary().string(), "study", (directory_ / "plan.json").string(), "--out",
            out().string()};
  }
  ProcessResult Run() const { return RunProcess(words()); }
  /// With a limit of the shell's on each of its processes.
  ProcessResult RunUnder(const std::string& limit) const {
    std::string command = "ulimit " + limit + "; exec";
    for (const std::string& word : words()) command += " '" + word + "'";
    return RunProcess({"sh", "-c", command});
  }
  fs::path out() const { return directory_ / "out"; }

  std::vector<json> Records() const {
    std::vector<json> records;
    if (!fs::exists(out() / "results.jsonl")) return records;
    std::ifstream lines(out() / "results.jsonl");
    for (std::string line; std::getline(lines, line);) {
      // Who looks while it is written may see a part.
      if (json record = json::parse(line, nullptr, false); !record.is_discarded()) {
        records.push_back(std::move(record));
      }
    }
    return records;
  }
  /// How often each cell was measured.
  std::map<std::string, size_t> Measured() const {
    std::map<std::string, size_t> counts;
    for (const json& record : Records()) {
      if (record.at("status") == "ok") ++counts[record.at("cell").get<std::string>()];
    }
    return counts;
  }
  bool EachOnce(size_t cells) const {
    const auto counts = Measured();
    return counts.size() == cells &&
           std::all_of(counts.begin(), counts.end(), [](const auto& c) { return c.second == 1; });
  }

 private:
  TemporaryDirectory directory_;
};

/// Whether `condition` came true within a time that only a hang exceeds.
bool Eventually(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  while (std::chrono::steady_clock::now() < give_up) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

std::string CommandLine(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/cmdline");
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A dead process whose parent is dead too may stand in the list until init looks.
bool Gone(pid_t pid) { return kill(pid, 0) != 0 || CommandLine(pid).empty(); }

TEST_CASE(
    "a study tells how far files stray from the model's own, and that this one is quantised") {
  const TemporaryDirectory directory;
  const std::string base = (directory / "base.gguf").string();
  REQUIRE(RunCrossover({"quantize", EmbeddedXs(), base, "Q8_0", "--quiet"}).ok());
  json plan{
      {"name", "strays"},
      {"models", {"base.gguf"}},
      {"recipes", {"file", "Q6_K", "Q2_K"}},
      {"metrics",
       {{"perplexity",
         {{"text", "embedded:heldout"}, {"context", 64}, {"chunks", 2}, {"divergence", true}}}}}};
  WriteFile(directory / "plan.json", plan.dump());
  const std::string out = (directory / "out").string();
  const std::string file = (directory / "plan.json").string();
  const ProcessResult study = RunCrossover({"study", file, "--out", out, "--quiet"});
  INFO(study.err);
  REQUIRE(study.ok());
  std::map<std::string, json> cells;
  std::ifstream lines(directory / "out" / "results.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const json record = json::parse(line);
    cells[record.at("recipe").get<std::string>()] = record.at("measurement");
  }
  REQUIRE(cells.size() == 3);
  const auto kld = [&](const char* recipe) {
    return cells.at(recipe).at("perplexity").at("divergence").at("kld").get<double>();
  };
  CHECK(std::abs(kld("file")) < 1e-9);
  CHECK(kld("Q6_K") > 0);
  CHECK(kld("Q2_K") > 4 * kld("Q6_K"));
  CHECK(cells.at("file").at("file_bytes") == fs::file_size(base));
  CHECK(cells.at("Q2_K").at("source").at("format") == "Q8_0");
  CHECK(cells.at("Q2_K").at("source").at("quantized") == true);
  const ProcessResult report = RunCrossover({"report", out});
  REQUIRE(report.ok());
  CHECK(Contains(report.out, "base comes from a file that is quantised itself (mostly Q8_0"));
  CHECK(Contains(ReadFile(directory / "out" / "table.md"), "KLD ×1000"));

  plan["models"] = {{{"synth", "qwen2.5-0.5b"}}};
  WriteFile(directory / "plan.json", plan.dump());
  const ProcessResult shape = RunCrossover({"study", file, "--out", out, "--quiet"});
  CHECK(shape.exit_code == 1);
  CHECK(Contains(shape.err, "qwen2.5-0.5b is a shape and has no file of its own"));
}

TEST_CASE("a study whose parent is killed at any moment loses and doubles no cell") {
  const SmallStudy study({"F16", "Q8_0", "Q4_0"});
  std::mt19937 random(std::random_device{}());
  for (int attempt = 0; attempt < 2; ++attempt) {
    Process process(study.words());
    const auto moment = std::chrono::milliseconds(random() % 2500);
    CAPTURE(moment.count());
    std::this_thread::sleep_for(moment);
    const std::vector<pid_t> children = Children(process.pid());
    process.Signal(SIGKILL);
    process.Wait();
    for (const pid_t child : children) CHECK(Eventually([&] { return Gone(child); }));
  }
  const ProcessResult resumed = study.Run();
  INFO(resumed.err);
  CHECK(resumed.ok());
  CHECK(study.EachOnce(3));
  CHECK(study.Records().size() == 3);
  CHECK_FALSE(fs::exists(study.out() / "models"));
}

TEST_CASE("a killed cell is recorded, the others are measured, and it is tried again") {
  const SmallStudy study({"Q8_0", "Q4_0"});
  Process process(study.words());
  pid_t victim = 0;
  const bool found = Eventually([&] {
    for (const pid_t child : Children(process.pid())) {
      if (CommandLine(child).find("\"measure\"") != std::string::npos) victim = child;
    }
    return victim != 0 || !process.Running();
  });
  REQUIRE(found);
  if (victim == 0) {
    Skip("the system does not list the children of a process");
    return;
  }
  kill(victim, SIGKILL);
  const ProcessResult result = process.Wait();
  CHECK(result.exit_code == 1);
  const auto records = study.Records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].at("status") == "failed");
  CHECK(records[0].at("error").get<std::string>().find("signal 9") != std::string::npos);
  CHECK(records[1].at("status") == "ok");
  CHECK(study.Run().ok());
  CHECK(study.EachOnce(2));
}

TEST_CASE("a cell without memory fails alone, and says so") {
  const json shape{{"synth", "qwen2.5-0.5b"}, {"layers", 1}};
  const SmallStudy study({"Q8_0"}, {shape, "embedded:xs"});
  // Less than the shape's weights twice, as file and packed; enough for the other model.
  const ProcessResult starved = study.RunUnder("-v 300000");
  if (study.Records().empty()) {
    Skip("the program itself does not start in so little memory");  // with sanitizers
    return;
  }
  CAPTURE(starved.err);
  CHECK(starved.exit_code == 1);
  const auto records = study.Records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].at("status") == "failed");
  CHECK(records[0].at("error").get<std::string>().find("memory") != std::string::npos);
  CHECK(records[1].at("status") == "ok");
  CHECK_FALSE(fs::exists(study.out() / "models"));
}

TEST_CASE("a file that finds no room fails its cell, and leaves nothing behind") {
  const SmallStudy study({"F16", "Q8_0"});
  const ProcessResult full = study.RunUnder("-f 512");  // of 512 bytes
  CAPTURE(full.err);
  CHECK(full.exit_code == 1);
  const auto records = study.Records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].at("status") == "ok");  // the model's own file
  CHECK(records[1].at("error").get<std::string>().find("cannot write") != std::string::npos);
  CHECK_FALSE(fs::exists(study.out() / "models"));
}

std::vector<std::string> UnderMpi(const SmallStudy& study, std::vector<std::string> options) {
  std::vector<std::string> words{"mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none"};
  words.insert(words.end(), options.begin(), options.end());
  for (const std::string& word : study.words()) words.push_back(word);
  words.insert(words.end(), {"--threads", "1"});
  return words;
}

ProcessOptions AsRoot() {
  return {
      .environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}}};
}

bool HaveMpirun() {
  return RunProcess({"sh", "-c", "mpirun --version 2>&1 | grep -q 'Open MPI'"}).ok();
}

TEST_CASE("two ranks measure what one process would, each cell once") {
  if (!HaveMpirun()) {
    Skip("Open MPI's mpirun is not installed");
    return;
  }
  const SmallStudy study({"F16", "Q8_0", "Q4_0"});
  const ProcessResult result = RunProcess(UnderMpi(study, {}), AsRoot());
  INFO(result.err);
  INFO(result.out);
  CHECK(result.ok());
  CHECK(study.EachOnce(3));
  for (const json& record : study.Records()) {
    CHECK(record.at("machine").at("sharers") == 2);
    CHECK(record.at("run") == study.Records()[0].at("run"));
  }
}

TEST_CASE("a killed rank costs no cell: what it held is taken up by the others") {
  if (!HaveMpirun()) {
    Skip("Open MPI's mpirun is not installed");
    return;
  }
  const SmallStudy study({"F16", "Q8_0", "Q4_0", "Q2_K"});
  Process process(UnderMpi(study, {"--enable-recovery"}), AsRoot());
  // A rank with a child holds a cell.
  pid_t rank = 0;
  const bool found = Eventually([&] {
    for (const pid_t child : Children(process.pid())) {
      if (!Children(child).empty()) rank = child;
    }
    return rank != 0 || !process.Running();
  });
  REQUIRE(found);
  if (rank == 0) {
    Skip("the system does not list the children of a process");
    return;
  }
  kill(rank, SIGKILL);
  process.Wait();  // how it ends is mpirun's to say
  CHECK(study.EachOnce(4));
}

}  // namespace
}  // namespace crossover::test
