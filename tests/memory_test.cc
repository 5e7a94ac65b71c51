// The executable where memory runs out, or goes from under it: done, or one line and status 1.
// Under the real allocator: with a sanitizer's there is no limit of address space to set.
#include <filesystem>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/command_inputs.h"
#include "tests/support/quality_study.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

constexpr size_t kMiB = 1024;  // in what ulimit counts

/// Runs the executable with an address space of `mib`.
ProcessResult RunWithin(size_t mib, const std::vector<std::string>& arguments,
                        const std::filesystem::path& directory, const std::string& input = {}) {
  std::vector<std::string> words = {"sh", "-c", "ulimit -v $0 && exec \"$@\"",
                                    std::to_string(mib * kMiB), CrossoverBinary().string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return RunProcess(words, {.input = input, .directory = directory});
}

struct Work {
  TemporaryDirectory directory;
  std::vector<std::vector<std::string>> commands;

  Work() {
    WriteCommandInputs(directory);
    commands = {
        {"info", "m.gguf"},
        {"tokenize", "m.gguf"},
        {"generate", "m.gguf", "-p", "the", "-n", "2", "--temp", "0"},
        {"chat", "m.gguf", "--chat-template", "template.jinja", "-n", "2"},
        {"logits", "m.gguf", "--tokens", "ids.txt", "--out", "logits.f32"},
        {"quantize", "m.gguf", "q.gguf", "Q4_0"},
        {"perplexity", "m.gguf", "-f", "text.txt", "-c", "64", "--chunks", "1"},
        {"eval", "m.gguf", "--tasks", "task.json"},
        {"report", "done"},
        {"predict", "m.gguf", "--machine", "machine.json"},
        {"synth", "qwen2.5-0.5b", "Q2_K", "s.gguf", "--layers", "1"},
        {"bench", "model", "m.gguf", "-p", "8", "-n", "2", "-r", "1"},
    };
  }
};

TEST_CASE("memory: under a limit each command is done, or says so in one line") {
  if (!CROSSOVER_REAL_ALLOCATOR) return Skip("a sanitizer needs all of the address space");
  const Work work;
  size_t refused = 0, done = 0;
  for (size_t mib = 40; mib <= 520; mib += mib < 200 ? 10 : 40) {
    if (!RunWithin(mib, {"--version"}, work.directory.path()).ok()) continue;
    for (std::vector<std::string> words : work.commands) {
      words.insert(words.end(), {"--threads", mib / 10 % 2 == 0 ? "2" : "1", "--quiet"});
      const ProcessResult result = RunWithin(mib, words, work.directory.path(), "hi\n");
      CAPTURE(mib);
      CAPTURE(words[0]);
      CAPTURE(result.err);
      CHECK(result.signal == 0);
      CHECK_FALSE(result.timed_out);
      CHECK((result.exit_code == 0 || result.exit_code == 1));
      if (result.ok()) {
        ++done;
        continue;
      }
      ++refused;
      CHECK((Contains(result.err, "memory") || Contains(result.err, "thread")));
      CHECK(CountLines(result.err) <= 3);
    }
  }
  CHECK(done > 0);
  CHECK(refused > 0);
}

TEST_CASE(
    "memory: under a limit a study is done, or says which cell was not, and goes on without") {
  if (!CROSSOVER_REAL_ALLOCATOR) return Skip("a sanitizer needs all of the address space");
  const QualityStudy study;
  std::vector<std::string> words = study.words();
  words.push_back("--quiet");
  size_t refused = 0, done = 0;
  for (size_t mib = 40; mib <= 300; mib += 20) {
    if (!RunWithin(mib, {"--version"}, study.directory()).ok()) continue;
    study.Reset();
    const ProcessResult result = RunWithin(mib, words, study.directory());
    CAPTURE(mib);
    CAPTURE(result.err);
    CHECK(result.signal == 0);
    CHECK(study.Fault() == "");
    CHECK(study.Unfinished() == 0);
    ++(result.ok() ? done : refused);
    if (result.ok()) continue;
    CHECK(result.exit_code == 1);
    CHECK(CountLines(result.err) <= 3);
    CHECK(RunCrossover(words, {.directory = study.directory()}).ok());
    CHECK(study.FaultAtEnd() == "");
  }
  CHECK(done > 0);
  CHECK(refused > 0);
}

// Two turns of a chat; the file is cut between them.
constexpr const char* kCutBetweenTurns = R"(
mkfifo in
"$0" chat m.gguf --chat-template template.jinja -n 2 --weights mapped --threads $1 <in >out 2>err &
pid=$!
exec 3>in
echo hi >&3
until [ -s out ]; do kill -0 $pid || exit 99; sleep 0.02; done
truncate -s 4096 m.gguf
echo again >&3
exec 3>&-
wait $pid
)";

TEST_CASE("memory: a mapped file that shrinks ends the run in a line with its name") {
  if (!CROSSOVER_REAL_ALLOCATOR) return Skip("a sanitizer has a handler of its own");
  for (const std::string threads : {"1", "2"}) {
    const Work work;
    const ProcessResult result =
        RunProcess({"sh", "-c", kCutBetweenTurns, CrossoverBinary().string(), threads},
                   {.directory = work.directory.path()});
    const std::string said = ReadFile(work.directory / "err");
    CAPTURE(said);
    CHECK(result.exit_code == 1);
    CHECK(CountLines(said) == 1);
    CHECK(Contains(said, "m.gguf: shrank"));
  }
}

}  // namespace
}  // namespace crossover::test
