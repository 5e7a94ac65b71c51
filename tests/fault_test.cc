// Faults injected into small runs of every command (support/fault_shim.cc): the n-th allocation,
// open, read, write, fsync, rename, mapping or thread fails, alone or with all that follow. Every
// run must end with status 0 and the right output, or with status 1 and a line; what stands under a
// final name is whole.
//
// A few points of each are tried here; CROSSOVER_FAULT_POINTS=1000 tries that many.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/output_file.h"
#include "tests/support/command_inputs.h"
#include "tests/support/fault_points.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;

struct Command {
  std::vector<std::string> words;
  std::vector<std::string> products = {};  // files, the same after every run
  bool same_output = true;                 // else it has times in it
  std::string input = {};
  size_t most = SIZE_MAX;  // points of a kind; few for what takes seconds
  /// Said where a run goes on with less, so that products and output differ.
  std::string excuse = {};
};

std::vector<Command> Commands() {
  return {
      {{"--version"}},
      {{"info", "m.gguf", "--tensors"}},
      {{"tokenize", "m.gguf", "--pieces"}, {}, true, "the 12 rings"},
      {{"generate", "m.gguf", "-p", "the", "-n", "3", "--temp", "0", "--weights", "mapped"}},
      {{"generate", "m.gguf", "-p", "the", "-n", "3", "--weights", "packed", "--load", "ram"}},
      {{"chat", "m.gguf", "--chat-template", "template.jinja", "-n", "2"}, {}, true, "hi\nagain\n"},
      {{"logits", "m.gguf", "--tokens", "ids.txt", "--out", "logits.f32"}, {"logits.f32"}},
      {{"quantize", "m.gguf", "q.gguf", "Q4_0"}, {"q.gguf"}, false},
      {{"quantize", "hf", "h.gguf", "Q8_0"}, {"h.gguf"}, false},
      {{"perplexity", "m.gguf", "-f", "text.txt", "-c", "64", "--chunks", "1", "--kl-save",
        "b.kld"},
       {"b.kld"}},
      {{"eval", "m.gguf", "--tasks", "task.json", "--log-samples", "s.jsonl"}, {"s.jsonl"}},
      {{"report", "done"},
       {"done/report.html", "done/results.csv", "done/table.md", "done/fits.csv"},
       true,
       {},
       5,
       "the plot"},
      {{"predict", "m.gguf", "--machine", "machine.json"}},
      {{"synth", "qwen2.5-0.5b", "Q2_K", "s.gguf", "--layers", "1"}, {"s.gguf"}, false, {}, 2},
      {{"bench", "model", "m.gguf", "-p", "8", "-n", "2", "-r", "1"}, {}, false, {}, 2},
  };
}

/// The files that the commands read.
void MakeInputs(const TemporaryDirectory& directory) {
  WriteCommandInputs(directory);
  fs::copy(SourceRoot() / "tests/data/tiny-llama-hf", directory / "hf",
           fs::copy_options::recursive);
}

std::set<std::string> FilesIn(const fs::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    names.insert(fs::relative(entry.path(), directory).string());
  }
  return names;
}

/// One command, run again and again.
class Subject {
 public:
  Subject(const Command& command, const TemporaryDirectory& directory)
      : command_(command), directory_(directory), inputs_(FilesIn(directory.path())) {
    const fs::path counts = directory.path().string() + ".counts";
    reference_ = Run({{"CROSSOVER_FAULT_COUNT", counts.string()}});
    CAPTURE(reference_.err);
    REQUIRE(reference_.ok());
    for (const std::string& name : command_.products) {
      products_[name] = ReadFile(directory_ / name);
    }
    counts_ = ReadCounts(counts);
    fs::remove(counts);
  }

  uint64_t count(const std::string& kind) const { return counts_.at(kind); }

  /// `fault` as the shim takes it. True if the run did not get through.
  bool Try(const std::string& fault) {
    const ProcessResult result = Run({{"CROSSOVER_FAULT", fault}});
    CAPTURE(command_.words[0]);
    CAPTURE(fault);
    CAPTURE(result.err);
    CHECK(result.signal == 0);
    CHECK_FALSE(result.timed_out);
    CHECK((result.exit_code == 0 || result.exit_code == 1));
    CheckFiles(result);
    if (result.ok()) {
      if (command_.same_output && !Excused(result)) CHECK(result.out == reference_.out);
      return false;
    }
    CHECK_FALSE(result.err.empty());
    CHECK(CountLines(result.err) <= 3);
    if (fault.starts_with("alloc")) CHECK(Contains(result.err, "memory"));
    if (fault.starts_with("shrink")) CHECK(Contains(result.err, "m.gguf"));
    return true;
  }

 private:
  bool Excused(const ProcessResult& result) const {
    return !command_.excuse.empty() && Contains(result.err, command_.excuse);
  }

  /// There are whole products and nothing else.
  void CheckFiles(const ProcessResult& result) const {
    for (const std::string& name : FilesIn(directory_.path())) {
      CAPTURE(name);
      CHECK((inputs_.contains(name) || products_.contains(name)));
    }
    for (const auto& [name, whole] : products_) {
      CAPTURE(name);
      const bool there = fs::exists(directory_ / name);
      if (result.ok()) CHECK(there);
      if (!there) continue;
      const std::string text = ReadFile(directory_ / name);
      CHECK((text == whole || (Excused(result) && text.ends_with(whole.substr(whole.size() - 8)))));
    }
  }

  ProcessResult Run(std::vector<std::pair<std::string, std::string>> environment) {
    for (const std::string& name : FilesIn(directory_.path())) {
      if (!inputs_.contains(name)) fs::remove_all(directory_ / name);
    }
    environment.emplace_back("LD_PRELOAD", CROSSOVER_FAULT_SHIM);
    std::vector<std::string> words = command_.words;
    if (words[0] != "--version") words.insert(words.end(), {"--threads", "2", "--quiet"});
    return RunCrossover(words, {.input = command_.input,
                                .timeout = std::chrono::seconds(300),
                                .directory = directory_.path(),
                                .environment = environment});
  }

  const Command& command_;
  const TemporaryDirectory& directory_;
  const std::set<std::string> inputs_;
  ProcessResult reference_;
  std::map<std::string, std::string> products_;
  std::map<std::string, uint64_t> counts_;
};

TEST_CASE("faults: every command ends in its result, or in a line and status 1") {
  if (!CROSSOVER_REAL_ALLOCATOR) return Skip("a sanitizer has an allocator of its own");
  const TemporaryDirectory directory;
  MakeInputs(directory);
  size_t failed = 0, tried = 0;
  // What the set-up of the commands allocates is tried with the first of them.
  uint64_t set_up = 0;
  for (const Command& command : Commands()) {
    Subject subject(command, directory);
    const size_t most = std::min(PointsAsked(9), command.most);
    const auto attempt = [&](const std::string& fault) {
      failed += subject.Try(fault) ? 1 : 0;
      ++tried;
    };
    const uint64_t allocations = subject.count("alloc");
    const uint64_t own = allocations - std::min(set_up, allocations);
    for (const uint64_t n : Points(own, most)) {
      attempt("alloc:" + std::to_string(allocations - own + n));
      attempt("alloc:" + std::to_string(allocations - own + n) + "+");
    }
    if (set_up == 0) set_up = allocations;
    for (const char* kind : {"map", "thread", "spawn", "open", "read", "write", "fsync", "truncate",
                             "rename", "mkdir", "lock"}) {
      for (const uint64_t n : Points(subject.count(kind), most)) {
        attempt(fmt::format("{}:{}", kind, n));
      }
    }
    // These are no faults: whoever reads and writes goes on.
    for (const char* kind : {"short-read", "short-write", "eintr"}) {
      for (const uint64_t n : Points(subject.count(kind), most)) {
        CAPTURE(command.words[0]);
        CHECK_FALSE(subject.Try(fmt::format("{}:{}", kind, n)));
        ++tried;
      }
    }
  }
  MESSAGE(tried, " points tried, of which ", failed, " ended the run");
  CHECK(failed > 100);
}

TEST_CASE("faults: a model file that shrinks at any moment ends a run in a line, or did no harm") {
  if (!CROSSOVER_REAL_ALLOCATOR) return Skip("a sanitizer has an allocator of its own");
  const TemporaryDirectory directory;
  MakeInputs(directory);
  const std::vector<Command> commands = {
      {{"info", "m.gguf", "--tensors"}},
      {{"generate", "m.gguf", "-p", "the", "-n", "3", "--temp", "0", "--weights", "mapped"}},
      {{"generate", "m.gguf", "-p", "the", "-n", "3", "--temp", "0", "--load", "ram"}},
      {{"quantize", "m.gguf", "q.gguf", "Q4_0"}, {"q.gguf"}, false},
      {{"perplexity", "m.gguf", "-f", "text.txt", "-c", "64", "--chunks", "1", "--weights",
        "mapped", "--kl-save", "b.kld"},
       {"b.kld"}},
      {{"eval", "m.gguf", "--tasks", "task.json", "--log-samples", "s.jsonl"}, {"s.jsonl"}}};
  size_t shrank = 0, tried = 0;
  for (const Command& command : commands) {
    Subject subject(command, directory);
    for (const uint64_t n : Points(subject.count("shrink"), PointsAsked(6))) {
      const std::string fault = fmt::format("shrink:{}", n);
      shrank += subject.Try(fault) ? 1 : 0;
      ++tried;
      fs::copy(EmbeddedXs(), directory / "m.gguf", fs::copy_options::overwrite_existing);
    }
  }
  MESSAGE(tried, " points tried, of which ", shrank, " ended the run");
  CHECK(shrank > 5);
}

}  // namespace
}  // namespace crossover::test
