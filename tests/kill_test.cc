// SIGKILL at any moment: in a long command, while it writes, between any two calls that change the
// disk. What stands under a final name is what was there before or the whole of the new; what a run
// that goes on ends with is what an undisturbed one gives.
//
// Few moments are tried here; CROSSOVER_KILLS=200 tries so many, CROSSOVER_KILL_SEED others.
#include <csignal>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/line_journal.h"
#include "base/output_file.h"
#include "tests/support/command_inputs.h"
#include "tests/support/fault_points.h"
#include "tests/support/processes.h"
#include "tests/support/quality_study.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

constexpr const char* kOld = "what stood there before";

/// What a command is told by its words, and what it makes of it.
struct Job {
  std::vector<std::string> words;
  std::string product;
  std::string journal = {};  // grows, and is gone on from
};

std::vector<Job> Jobs() {
  return {
      {{"quantize", "m.gguf", "q.gguf", "Q4_K_M"}, "q.gguf"},
      {{"synth", "qwen2.5-0.5b", "Q2_K", "s.gguf", "--layers", "1"}, "s.gguf"},
      {{"perplexity", "m.gguf", "-f", "text.txt", "-c", "64", "--kl-save", "b.kld"}, "b.kld"},
      {{"eval", "m.gguf", "--tasks", "sums,facts", "--limit", "12", "--resume", "run.jsonl",
        "--log-samples", "s.jsonl"},
       "s.jsonl",
       "run.jsonl"},
  };
}

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// A command in a folder of its own, killed and run again.
class Subject {
 public:
  explicit Subject(const Job& job) : job_(job) {
    WriteCommandInputs(directory_);
    fs::copy_file(SourceRoot() / "models/reference-s.gguf", directory_ / "m.gguf",
                  fs::copy_options::overwrite_existing);
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      known_.insert(entry.path().filename().string());
    }
    known_.insert({job_.product, job_.journal});
    const std::string counts = directory_.path().string() + ".counts";
    const auto start = steady_clock::now();
    const ProcessResult result =
        Run({{"LD_PRELOAD", CROSSOVER_FAULT_SHIM}, {"CROSSOVER_FAULT_COUNT", counts}});
    duration_ = duration_cast<microseconds>(steady_clock::now() - start);
    CAPTURE(result.err);
    REQUIRE(result.ok());
    whole_ = ReadFile(directory_ / job_.product);
    answers_ = Answers();
    if (fs::exists(counts)) counts_ = ReadCounts(counts);
    fs::remove(counts);
  }

  /// How often a kind of the shim's was called; 0 without the shim.
  uint64_t count(const std::string& kind) const {
    const auto it = counts_.find(kind);
    return it == counts_.end() ? 0 : it->second;
  }
  microseconds duration() const { return duration_; }

  /// With or without something under the product's name.
  void Reset(bool with_old) {
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      const std::string name = entry.path().filename().string();
      if (!known_.contains(name) || name == job_.product || name == job_.journal) {
        fs::remove(entry.path());
      }
    }
    leftovers_ = 0;
    old_ = with_old;
    if (with_old) WriteFile(directory_ / job_.product, kOld);
  }

  void KillAfter(microseconds moment) {
    Process process(Words(), {.directory = directory_.path()});
    std::this_thread::sleep_for(moment);
    process.Signal(SIGKILL);
    Check(process.Wait());
  }

  /// `fault`: of a kind that ends the process.
  void KillAt(const std::string& fault) {
    const ProcessResult result =
        Run({{"LD_PRELOAD", CROSSOVER_FAULT_SHIM}, {"CROSSOVER_FAULT", fault}});
    CAPTURE(fault);
    CHECK(result.signal == SIGKILL);
    Check(result);
  }

  void Finish() {
    const ProcessResult result = Run({});
    CAPTURE(job_.words[0]);
    CAPTURE(result.err);
    CHECK(result.ok());
    CHECK(ReadFile(directory_ / job_.product) == whole_);
    CHECK(Answers() == answers_);
  }

  size_t killed() const { return killed_; }
  size_t unfinished() const { return unfinished_; }

 private:
  std::vector<std::string> Words() const {
    std::vector<std::string> words{CrossoverBinary().string()};
    words.insert(words.end(), job_.words.begin(), job_.words.end());
    words.insert(words.end(), {"--threads", "2", "--quiet"});
    return words;
  }

  ProcessResult Run(std::vector<std::pair<std::string, std::string>> environment) const {
    if (std::string(CROSSOVER_FAULT_SHIM).empty()) environment.clear();
    return RunProcess(Words(), {.directory = directory_.path(), .environment = environment});
  }

  /// The lines of the journal: whole, each once. Their order is that in which answers came.
  std::set<std::string> Answers() const {
    if (job_.journal.empty()) return {};
    const std::string text = ReadFile(directory_ / job_.journal);
    CHECK(text.ends_with('\n'));
    const std::vector<std::string> lines = WholeLines(text);
    std::set<std::string> answers(lines.begin(), lines.end());
    CHECK(answers.size() == lines.size());
    return answers;
  }

  void Check(const ProcessResult& result) {
    CAPTURE(job_.words[0]);
    CAPTURE(result.err);
    CHECK((result.signal == SIGKILL || result.ok()));
    killed_ += result.signal == SIGKILL ? 1 : 0;
    size_t leftovers = 0;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      leftovers += IsUnfinished(entry.path()) ? 1 : 0;
      CAPTURE(entry.path().string());
      CHECK((IsUnfinished(entry.path()) || known_.contains(entry.path().filename().string())));
    }
    unfinished_ += leftovers > leftovers_ ? 1 : 0;
    leftovers_ = leftovers;
    const bool there = fs::exists(directory_ / job_.product);
    if (!there) CHECK_FALSE(old_);
    if (!there) return;
    const std::string text = ReadFile(directory_ / job_.product);
    CHECK((text == whole_ || (old_ && text == kOld)));
    old_ = text == kOld;
  }

  const Job& job_;
  const TemporaryDirectory directory_;
  std::set<std::string> known_;  // names of what was there, and of what is made
  std::string whole_;            // the product
  std::set<std::string> answers_;
  std::map<std::string, uint64_t> counts_;
  microseconds duration_{};
  bool old_ = false;
  size_t leftovers_ = 0;  // of the kills since Reset
  size_t killed_ = 0, unfinished_ = 0;
};

std::mt19937_64 Random() {
  return std::mt19937_64(FromEnvironment("CROSSOVER_KILL_SEED", 20261130));
}

/// A moment of a run that may last as long.
microseconds Moment(std::mt19937_64& random, microseconds duration) {
  return microseconds(static_cast<int64_t>(random() % static_cast<uint64_t>(duration.count())));
}

/// A run may be over before its kill comes: then another is tried, so many at most.
constexpr uint64_t kTries = 4;

TEST_CASE("killed at random moments, a command leaves its outputs whole, and goes on") {
  constexpr uint64_t kCommands = 5;  // with the study
  const uint64_t kills = FromEnvironment("CROSSOVER_KILLS", 25) / kCommands;
  std::mt19937_64 random = Random();
  for (const Job& job : Jobs()) {
    Subject subject(job);
    uint64_t sent = 0;
    for (; subject.killed() < kills && sent < kills * kTries; ++sent) {
      // Up to three in a row before a run may end.
      if (sent % 3 == 0) subject.Reset(sent % 2 == 0);
      subject.KillAfter(Moment(random, subject.duration()));
      if (sent % 3 == 2) subject.Finish();
    }
    subject.Finish();
    MESSAGE(job.words[0], ": ", sent, " kills sent, ", subject.killed(),
            " of a running process, of which ", subject.unfinished(), " while it wrote");
  }
}

TEST_CASE("killed before any call that changes the disk, or within a write, a command goes on") {
  if (std::string(CROSSOVER_FAULT_SHIM).empty()) return Skip("the shim is for the real allocator");
  for (const Job& job : Jobs()) {
    Subject subject(job);
    for (const char* kind : {"kill", "torn"}) {
      bool with_old = false;
      for (const uint64_t n : Points(subject.count(kind), PointsAsked(4))) {
        subject.Reset(with_old = !with_old);
        subject.KillAt(fmt::format("{}:{}", kind, n));
        subject.Finish();
      }
    }
    MESSAGE(job.words[0], ": ", subject.killed(), " killed, of which ", subject.unfinished(),
            " while it wrote");
  }
}

/// They die with their parent, but not before it.
void AwaitEnd(const std::vector<pid_t>& processes) {
  for (const pid_t process : processes) {
    const auto give_up = steady_clock::now() + std::chrono::seconds(100);
    const auto gone = [&] {
      std::ifstream in(fmt::format("/proc/{}/cmdline", process));
      return in.get() == std::ifstream::traits_type::eof();
    };
    while (!gone() && steady_clock::now() < give_up) std::this_thread::sleep_for(microseconds(500));
    CHECK(gone());
  }
}

class KilledStudy {
 public:
  KilledStudy() {
    study_.Reset();
    const auto start = steady_clock::now();
    Finish();
    duration_ = duration_cast<microseconds>(steady_clock::now() - start);
  }

  void Reset() const { study_.Reset(); }
  microseconds duration() const { return duration_; }

  /// The study's own process, or the one of a cell that it waits for.
  void KillAfter(microseconds moment, bool whole) {
    std::vector<std::string> words = study_.words();
    words.insert(words.begin(), CrossoverBinary().string());
    Process process(words, {.directory = study_.directory()});
    std::this_thread::sleep_for(moment);
    const std::vector<pid_t> children = Children(process.pid());
    if (whole) process.Signal(SIGKILL);
    if (!whole && !children.empty()) kill(children.front(), SIGKILL);
    Check(process.Wait());
    AwaitEnd(children);
  }

  void KillAt(const std::string& place, const std::string& fault) {
    CAPTURE(place);
    CAPTURE(fault);
    Check(Run({{"LD_PRELOAD", CROSSOVER_FAULT_SHIM},
               {"CROSSOVER_FAULT_IN", place},
               {"CROSSOVER_FAULT", fault}}));
  }

  std::map<std::string, uint64_t> Counts(const std::string& place) {
    const std::string counts = study_.directory().string() + ".counts";
    Reset();
    const ProcessResult result = Run({{"LD_PRELOAD", CROSSOVER_FAULT_SHIM},
                                      {"CROSSOVER_FAULT_IN", place},
                                      {"CROSSOVER_FAULT_COUNT", counts}});
    REQUIRE(result.ok());
    auto read = ReadCounts(counts);
    fs::remove(counts);
    return read;
  }

  void Finish() const {
    const ProcessResult result = Run({});
    CAPTURE(result.err);
    CHECK(result.ok());
    CHECK(study_.FaultAtEnd() == "");
  }

  size_t hit() const { return killed_ + lost_; }
  std::string Told() const {
    return fmt::format("study: {} killed, {} lost a cell's process, {} while a file was written",
                       killed_, lost_, unfinished_);
  }

 private:
  ProcessResult Run(std::vector<std::pair<std::string, std::string>> environment) const {
    return RunCrossover(study_.words(),
                        {.directory = study_.directory(), .environment = std::move(environment)});
  }

  void Check(const ProcessResult& result) {
    CAPTURE(result.err);
    const bool failed = result.exit_code == 1 && Contains(result.err, "failed");
    CHECK((result.signal == SIGKILL || result.ok() || failed));
    killed_ += result.signal == SIGKILL ? 1 : 0;
    lost_ += failed ? 1 : 0;
    unfinished_ += study_.Unfinished() > 0 ? 1 : 0;
    CHECK(study_.Fault() == "");
  }

  const QualityStudy study_;
  microseconds duration_{};
  size_t killed_ = 0, lost_ = 0, unfinished_ = 0;
};

TEST_CASE("a study killed at random moments, or robbed of a cell's process, goes on") {
  constexpr uint64_t kCommands = 5;  // with those above
  const uint64_t kills = FromEnvironment("CROSSOVER_KILLS", 25) / kCommands;
  std::mt19937_64 random = Random();
  KilledStudy study;
  uint64_t sent = 0;
  for (; study.hit() < kills && sent < kills * kTries; ++sent) {
    if (sent % 3 == 0) study.Reset();
    study.KillAfter(Moment(random, study.duration()), sent % 3 != 1);
    if (sent % 3 == 2) study.Finish();
  }
  study.Finish();
  MESSAGE(sent, " kills sent: ", study.Told());
}

TEST_CASE("a study killed before any call that changes the disk, or within a write, goes on") {
  if (std::string(CROSSOVER_FAULT_SHIM).empty()) return Skip("the shim is for the real allocator");
  KilledStudy study;
  for (const char* place : {"study", "\"step\":\"quantize\""}) {
    const auto counts = study.Counts(place);
    for (const char* kind : {"kill", "torn"}) {
      for (const uint64_t n : Points(counts.at(kind), PointsAsked(5))) {
        study.Reset();
        study.KillAt(place, fmt::format("{}:{}", kind, n));
        study.Finish();
      }
    }
  }
  MESSAGE(study.Told());
}

}  // namespace
}  // namespace crossover::test
