#include "bench/study/study.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/machine/machine_info.h"
#include "bench/study/cell_folder.h"
#include "bench/study/record.h"
#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

/// A study whose cells are run by a shell script in the place of the executable: it notes each call
/// in calls.txt, makes the file that a quantise step asks for, and answers a measure step with a
/// made-up measurement, or does what `on_measure` says first.
class StudyTest {
 public:
  StudyTest() {
    WriteFile(directory_ / "model.gguf", "GGUF");
    WriteFile(directory_ / "measurement.json",
              nlohmann::json(*MakeRecord({}).measurement).dump() + "\n");
    SetScript("");
    plan.name = "tiny";
    plan.models = {{.name = "model", .path = directory_ / "model.gguf"}};
    plan.recipes = {"Q8_0", "Q4_0", "Q2_K"};
    plan.metrics.speed = SpeedMetric{};
    options.directory = directory_ / "out";
    options.executable = directory_ / "cell.sh";
    options.version = "0.0.0";
    options.quiet = true;
  }

  void SetScript(const std::string& on_measure) {
    const std::string here = directory_.path().string();
    const std::string script = fmt::format(
        "#!/bin/sh\necho \"$2\" >> {0}/calls.txt\ncase \"$2\" in\n"
        "*'\"step\":\"limits\"'*) echo "
        "'{{\"read_bytes_s\":1e9,\"flops_s\":null,\"flops_unit\":\"\","
        "\"reason\":\"made\"}}';;\n"
        "*'\"step\":\"quantize\"'*|*'\"step\":\"synth\"'*) file=${{2#*\\\"file\\\":\\\"}}; : > "
        "\"${{file%%\\\"*}}\"\n"
        "  echo '{{\"seconds\":1,\"fallbacks\":2}}';;\n"
        "*) {1}\n cat {0}/measurement.json;;\nesac\n",
        here, on_measure.empty() ? ":" : on_measure);
    WriteFile(directory_ / "cell.sh", script);
    fs::permissions(directory_ / "cell.sh", fs::perms::owner_all);
  }

  StudySummary Run() const { return RunStudy(plan, options); }
  std::vector<CellRecord> Records() const { return ReadRecords(ResultsPath(options.directory)); }
  std::vector<std::string> CellFiles() const {
    std::vector<std::string> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(options.directory / "crossover-models", none)) {
      const std::string name = entry.path().filename().string();
      if (name[0] != '.') files.push_back(name);
    }
    return files;
  }
  fs::path path(const std::string& name) const { return directory_ / name; }
  size_t Calls(const std::string& step) const {
    const std::string calls = ReadFile(directory_ / "calls.txt");
    size_t count = 0;
    for (size_t at = calls.find(step); at != std::string::npos; at = calls.find(step, at + 1)) {
      ++count;
    }
    return count;
  }

  Plan plan;
  StudyOptions options;

 private:
  test::TemporaryDirectory directory_;
};

TEST_CASE("each cell is made, measured, recorded, and its file removed") {
  const StudyTest t;
  const StudySummary summary = t.Run();
  CHECK(summary.cells == 3);
  CHECK(summary.measured == 3);
  CHECK(t.Calls("\"step\":\"limits\"") == 1);
  CHECK(t.Calls("\"step\":\"quantize\"") == 3);
  CHECK(t.Calls("\"step\":\"measure\"") == 3);
  const auto records = t.Records();
  REQUIRE(records.size() == 3);
  CHECK(records[0].cell == "model/Q8_0");
  CHECK(records[0].fallbacks == 2);
  CHECK(*records[0].quantize_seconds == 1);
  CHECK(*records[0].machine.limits.read_bytes_s == 1e9);
  CHECK(records[0].machine.cores >= 1);
  for (const CacheInfo& cache : ReadMachineInfo().caches) {
    CHECK(records[0].machine.cache_bytes >= cache.bytes);
  }
  CHECK_FALSE(fs::exists(t.options.directory / "crossover-models"));
}

TEST_CASE("a second run measures nothing; a killed run goes on without loss or repetition") {
  const StudyTest t;
  t.Run();
  CHECK(t.Run().skipped == 3);
  CHECK(t.Calls("\"step\":\"measure\"") == 3);

  // As a crash while the last record was being written would leave it.
  const fs::path results = ResultsPath(t.options.directory);
  fs::resize_file(results, fs::file_size(results) - 20);
  const StudySummary resumed = t.Run();
  CHECK(resumed.skipped == 2);
  CHECK(resumed.measured == 1);
  std::set<std::string> cells;
  for (const CellRecord& record : t.Records()) cells.insert(record.cell);
  CHECK(t.Records().size() == 3);
  CHECK(cells.size() == 3);
}

TEST_CASE("a crashed cell is recorded, the others are measured, and only it is tried again") {
  StudyTest t;
  t.SetScript("case \"$2\" in *Q4_0*) kill -SEGV $$;; esac");
  const StudySummary summary = t.Run();
  CHECK(summary.measured == 2);
  CHECK(summary.failed == 1);
  const auto records = t.Records();
  REQUIRE(records.size() == 3);
  CHECK_FALSE(records[1].ok());
  CHECK(records[1].error.find("signal 11") != std::string::npos);
  CHECK(t.Run().failed == 1);
  CHECK(t.Calls("\"step\":\"measure\"") == 4);
}

TEST_CASE("a cell that fails with words, or without a result, is told apart") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.SetScript("echo 'crossover: no such tensor' >&2; exit 1");
  t.Run();
  CHECK(t.Records().back().error == "measuring: crossover: no such tensor");
  t.SetScript("echo 'half a resu'; exit 0");
  t.Run();
  CHECK(t.Records().back().error.find("wrote no result") != std::string::npos);
}

TEST_CASE("what could change the figures makes a new measurement") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.Run();
  t.options.settings.threads = 2;
  CHECK(t.Run().measured == 1);
  t.plan.metrics.speed->repetitions = 9;
  CHECK(t.Run().measured == 1);
  WriteFile(t.path("model.gguf"), "GGUF, but another");
  CHECK(t.Run().measured == 1);
  CHECK(t.Run().skipped == 1);
}

TEST_CASE("what a killed process left is cleared away, and nothing else") {
  StudyTest t;
  t.plan.recipes = {"Q8_0", "Q4_0"};
  // Dies in its second cell as kill -9 would end it: with the cell's file there, and half of
  // another.
  t.SetScript("case \"$2\" in *Q4_0*) rm " + t.path("die").string() +
              " && kill -9 $PPID;; esac 2>/dev/null");
  WriteFile(t.path("die"), "");
  const pid_t pid = fork();
  if (pid == 0) {
    t.Run();
    _exit(0);
  }
  waitpid(pid, nullptr, 0);
  const fs::path folder = t.options.directory / "crossover-models";
  const std::vector<std::string> left = t.CellFiles();
  REQUIRE(left.size() == 1);
  const std::string key = left[0].substr(left[0].size() - 21, 16);
  const std::vector<std::string> foreign = {"notes.txt", "other-Q8_0-0123456789abcdef.gguf",
                                            "letter.tmp-draft.txt", left[0] + ".tmp-draft",
                                            left[0] + ".bak"};
  for (const std::string& name : foreign) WriteFile(folder / name, "mine");
  WriteFile(folder / (left[0] + ".tmp-0123456789abcdef"), "half");
  WriteFile(t.path("elsewhere"), "mine");
  fs::create_symlink(t.path("elsewhere"), folder / ("link-" + key + ".gguf"));
  fs::create_directory(folder / ("folder-" + key + ".gguf"));

  const StudySummary resumed = t.Run();
  CHECK(resumed.skipped == 1);
  CHECK(resumed.measured == 1);
  CHECK_FALSE(fs::exists(folder / left[0]));
  CHECK_FALSE(fs::exists(folder / (left[0] + ".tmp-0123456789abcdef")));
  for (const std::string& name : foreign) CHECK_MESSAGE(fs::exists(folder / name), name);
  CHECK(ReadFile(t.path("elsewhere")) == "mine");
  CHECK(fs::is_symlink(folder / ("link-" + key + ".gguf")));
}

TEST_CASE("kept files stay, in later runs of other plans too") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.plan.keep_files = true;
  t.Run();
  REQUIRE(t.CellFiles().size() == 1);
  CHECK(t.CellFiles()[0].find("model-Q8_0-") == 0);
  const std::vector<std::string> kept = t.CellFiles();
  t.plan.keep_files = false;
  t.plan.recipes = {"Q4_0"};
  t.Run();
  CHECK(t.CellFiles() == kept);
  // Without results the cell is measured once more, and its file is still what was to be kept.
  fs::remove(ResultsPath(t.options.directory));
  t.plan.recipes = {"Q8_0"};
  CHECK(t.Run().measured == 1);
  CHECK(t.CellFiles() == kept);
}

TEST_CASE("a rewrite in place is another model, whatever its times say; a copy elsewhere is not") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.Run();
  const auto time = fs::last_write_time(t.path("model.gguf"));
  std::ofstream(t.path("model.gguf"), std::ios::in | std::ios::out) << "GGUX";
  fs::last_write_time(t.path("model.gguf"), time);
  CHECK(t.Run().measured == 1);
  fs::copy_file(t.path("model.gguf"), t.path("copy.gguf"));
  t.plan.models[0].path = t.path("copy.gguf");
  CHECK(t.Run().skipped == 1);
}

TEST_CASE("all files of a folder are the model") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  fs::create_directory(t.path("hf"));
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    WriteFile(t.path("hf") / name, "a");
  }
  t.plan.models[0].path = t.path("hf");
  t.Run();
  CHECK(t.Run().skipped == 1);
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    CAPTURE(name);
    WriteFile(t.path("hf") / name, "b");
    CHECK(t.Run().measured == 1);
  }
  WriteFile(t.path("hf") / "README.md", "not read");
  CHECK(t.Run().skipped == 1);
}

TEST_CASE("a cell whose model was changed meanwhile has no figures") {
  StudyTest t;
  t.plan.recipes = {"Q8_0", "Q4_0"};
  t.SetScript("case \"$2\" in *Q8_0*) printf XXXX > " + t.path("model.gguf").string() +
              ";; *) touch " + t.path("model.gguf").string() + ";; esac");
  t.Run();
  const auto records = t.Records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].error.find("was changed after the study began") != std::string::npos);
  CHECK_FALSE(records[1].ok());
  CHECK(t.Run().measured == 2);
}

TEST_CASE("records name the program that measured them, and its limits are its own") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.Run();
  t.SetScript("true");
  t.Run();
  const auto records = t.Records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].version.find("0.0.0 (build ") == 0);
  CHECK(records[0].version != records[1].version);
  CHECK(t.Calls("\"step\":\"limits\"") == 2);
}

TEST_CASE("a user's models folder is not touched") {
  StudyTest t;
  fs::create_directories(t.options.directory / "models");
  WriteFile(t.options.directory / "models" / "mine.gguf", "mine");
  t.Run();
  CHECK(ReadFile(t.options.directory / "models" / "mine.gguf") == "mine");
}

TEST_CASE(
    "a folder of the study's name that it did not make is refused before anything is written") {
  StudyTest t;
  const fs::path folder = t.options.directory / "crossover-models";
  const auto refused = [&] {
    std::string error;
    try {
      t.Run();
    } catch (const Error& e) {
      error = e.what();
    }
    CHECK_MESSAGE(
        error.find("crossover-models is no folder that this program made") != std::string::npos,
        error);
    CHECK_FALSE(fs::exists(ResultsPath(t.options.directory)));
  };
  fs::create_directories(folder);
  WriteFile(folder / "mine", "mine");
  refused();
  WriteFile(folder / ".crossover-study", "no marker of ours\n");
  refused();
  fs::remove(folder / ".crossover-study");
  WriteFile(t.path("marker"),
            "crossover study: files here that end with one of these keys are its own\n");
  fs::create_symlink(t.path("marker"), folder / ".crossover-study");
  refused();
  fs::remove(folder / ".crossover-study");
  REQUIRE(mkfifo((folder / ".crossover-study").c_str(), 0600) == 0);
  refused();
  CHECK(ReadFile(folder / "mine") == "mine");
  fs::remove_all(folder);
  fs::create_directories(t.path("elsewhere"));
  WriteFile(t.path("elsewhere/.crossover-study"),
            "crossover study: files here that end with one of these keys are its own\n");
  fs::create_directory_symlink(t.path("elsewhere"), folder);
  refused();
  fs::remove(folder);
  CHECK(t.Run().measured == 3);
}

TEST_CASE("results that are not a study's are not cut off or written behind") {
  StudyTest t;
  fs::create_directories(t.options.directory);
  const fs::path results = ResultsPath(t.options.directory);
  WriteFile(results, "one line of mine without an end");
  CHECK_THROWS_AS(t.Run(), Error);
  CHECK(ReadFile(results) == "one line of mine without an end");
  fs::remove(results);
  fs::create_symlink(t.path("none"), results);
  CHECK_THROWS_AS(t.Run(), Error);
  CHECK_FALSE(fs::exists(t.path("none")));
  // A file elsewhere that holds a study's results is as good as one here.
  WriteFile(t.path("none"), "{\"cell\":\"cut o");
  CHECK(t.Run().measured == 3);
  CHECK(fs::is_symlink(results));
  CHECK(t.Records().size() == 3);
}

TEST_CASE("a shape's file is written for each cell, and its quality is not asked for") {
  StudyTest t;
  t.plan.models.push_back({.name = "shape", .shape = "qwen2.5-0.5b", .layers = 1});
  t.plan.recipes = {"Q8_0", "Q4_0"};
  WriteFile(t.path("text.txt"), "words");
  t.plan.metrics.perplexity = PerplexityMetric{.text = t.path("text.txt")};
  t.Run();
  CHECK(t.Calls("\"step\":\"synth\"") == 2);
  CHECK(t.Calls("\"step\":\"quantize\"") == 2);
  CHECK(t.Calls("\"perplexity\"") == 2);
  std::vector<std::string> order;
  for (const CellRecord& record : t.Records()) order.push_back(record.cell);
  CHECK(order == std::vector<std::string>{"model/Q8_0", "shape/Q8_0", "model/Q4_0", "shape/Q4_0"});
  CHECK_FALSE(fs::exists(t.options.directory / "crossover-models"));
}

TEST_CASE("a cell that does not fit is refused with the reason, and the others are measured") {
  StudyTest t;
  t.plan.models.push_back({.name = "huge", .shape = "qwen2.5-14b", .layers = 10000});
  t.plan.recipes = {"Q8_0"};
  const StudySummary summary = t.Run();
  CHECK(summary.measured == 1);
  CHECK(summary.failed == 1);
  CHECK(t.Calls("\"step\":\"synth\"") == 0);
  CHECK(t.Records()[1].error.find("needs some 2") == 0);
  CHECK(t.Records()[1].error.find("GiB of memory") != std::string::npos);
}

TEST_CASE("each number of threads is a cell with limits of its own") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.plan.threads = {1, 2};
  t.Run();
  CHECK(t.Calls("\"step\":\"limits\"") == 2);
  const auto records = t.Records();
  REQUIRE(records.size() == 2);
  CHECK(records[0].cell == "model/Q8_0/1 thread");
  CHECK(records[0].settings.threads == 1);
  CHECK(records[1].settings.threads == 2);
  CHECK(records[0].key != records[1].key);
}

TEST_CASE("two processes share the cells and leave none out") {
  StudyTest t;
  t.SetScript("sleep 0.05");
  t.options.ranks = {.rank = 0, .size = 2, .sharers = 2, .run = "one"};
  StudyOptions second = t.options;
  second.ranks.rank = 1;
  StudySummary summary;
  std::thread other([&] { summary = RunStudy(t.plan, second); });
  const StudySummary mine = t.Run();
  other.join();
  CHECK(mine.measured + summary.measured == 3);
  CHECK(mine.others + mine.measured + mine.skipped == 3);
  CHECK(summary.others + summary.measured + summary.skipped == 3);
  CHECK(t.Calls("\"step\":\"measure\"") == 3);
  REQUIRE(t.Records().size() == 3);
  CHECK(t.Records()[0].machine.sharers == 2);
}

TEST_CASE("processes that make and remove a study's folder do not take it for foreign") {
  const test::TemporaryDirectory directory;
  constexpr int kRounds = 300;
  const auto work = [&](char digit) {
    for (int i = 0; i < kRounds; ++i) {
      CellFolder folder(directory.path());
      const std::string key(16, digit);
      folder.Begin(key, false);
      const fs::path file = folder.path() / CellFileName("model", "Q8_0", key);
      WriteFile(file, "cell");
      folder.Remove(key);
      if (fs::exists(file)) return false;
      folder.RemoveIfEmpty();
    }
    return true;
  };
  std::array<std::future<bool>, 3> workers;
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i] = std::async(std::launch::async, work, "abc"[i]);
  }
  for (auto& worker : workers) CHECK(worker.get());
  CHECK_FALSE(fs::exists(directory / "crossover-models"));
}

TEST_CASE("what fails in one process is not tried again by another of the same run") {
  StudyTest t;
  t.plan.recipes = {"Q8_0"};
  t.SetScript("exit 1");
  t.options.ranks = {.rank = 0, .size = 2, .sharers = 1, .run = "one"};
  CHECK(t.Run().failed == 1);
  CHECK(t.Run().others == 1);
  t.options.ranks.run = "two";
  CHECK(t.Run().failed == 1);
  CHECK(t.Calls("\"step\":\"measure\"") == 2);
}

TEST_CASE("a folder that cannot be made is an error") {
  StudyTest t;
  t.options.directory = t.path("model.gguf") / "out";
  CHECK_THROWS_AS(t.Run(), Error);
}

}  // namespace
}  // namespace crossover::bench
