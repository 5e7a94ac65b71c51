// Faults injected into small runs of every command (support/fault_shim.cc): the n-th allocation,
// open, read, write, fsync, rename, mapping or thread fails, alone or with all that follow. Every
// run must end with status 0 and the right output, or with status 1 and a line; what stands under a
// final name is whole.
//
// A few points of each are tried here; CROSSOVER_FAULT_POINTS=1000 tries that many.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/output_file.h"
#include "tests/support/command_inputs.h"
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
  for (const auto& entry : fs::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

size_t PointsAsked() {
  const char* asked = std::getenv("CROSSOVER_FAULT_POINTS");
  return asked == nullptr ? 9 : std::strtoull(asked, nullptr, 10);
}

/// The first third in a row, the rest evenly over what there is.
std::vector<uint64_t> Points(uint64_t count, uint64_t most) {
  std::vector<uint64_t> points;
  for (uint64_t n = 1; n <= count && (count <= most || n <= most / 3); ++n) points.push_back(n);
  if (count <= most) return points;
  const uint64_t first = points.size(), rest = most - first;
  for (uint64_t i = 1; i <= rest; ++i) points.push_back(first + (count - first) * i / rest);
  return points;
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
    std::istringstream lines(ReadFile(counts));
    std::string kind;
    for (uint64_t n = 0; lines >> kind >> n;) counts_[kind] = n;
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
    for (const auto& [name, whole] : products_) {
      if (result.ok() || fs::exists(directory_ / name)) {
        CHECK((fs::exists(directory_ / name) && ReadFile(directory_ / name) == whole));
      }
    }
    if (result.ok()) {
      if (command_.same_output) CHECK(result.out == reference_.out);
      return false;
    }
    CHECK_FALSE(result.err.empty());
    CHECK(CountLines(result.err) <= 3);
    if (fault.starts_with("alloc")) CHECK(Contains(result.err, "memory"));
    return true;
  }

 private:
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
    const size_t most = std::min(PointsAsked(), command.most);
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
    for (const char* kind : {"map", "thread", "open", "read", "write", "fsync", "rename"}) {
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

}  // namespace
}  // namespace crossover::test
