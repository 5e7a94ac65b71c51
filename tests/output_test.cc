// Where the program writes: links, FIFOs, devices, its own streams, closed streams, readers that
// leave. Each command that has an output goes through the same.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Words = std::vector<std::string>;

/// A folder with what the commands read.
class Inputs {
 public:
  Inputs() {
    WriteFile(directory_ / "ids.txt", "1 2 3 4");
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the end and the 12 rings ";
    WriteFile(directory_ / "text.txt", text);
    WriteFile(directory_ / "data.jsonl", R"({"p": "a", "a": "0"})"
                                         "\n");
    const json task{{"task", "t"},
                    {"items", {{{"file", "data.jsonl"}, {"format", "jsonl"}}}},
                    {"prompt", "{p}"},
                    {"choices", {"b", "c"}},
                    {"answer", {{"is", "{a}"}, {"among", {"0", "1"}}}},
                    {"metrics", {"acc"}}};
    WriteFile(directory_ / "task.json", task.dump());
  }

  fs::path operator/(const std::string& name) const { return directory_ / name; }
  const fs::path& path() const { return directory_.path(); }

  Words Command(const std::string& name, const std::string& out) const {
    const std::string model = EmbeddedXs();
    Words words;
    if (name == "quantize") words = {"quantize", model, out, "Q4_0"};
    if (name == "synth") words = {"synth", "qwen2.5-0.5b", "Q2_K", out, "--layers", "1"};
    if (name == "logits") words = {"logits", model, "--tokens", "ids.txt", "--out", out};
    if (name == "kl-save") {
      words = {"perplexity", model,      "-f", "text.txt",  "-c",
               "64",         "--chunks", "1",  "--kl-save", out};
    }
    if (name == "log-samples")
      words = {"eval", model, "--tasks", "task.json", "--log-samples", out};
    if (name == "harness-json")
      words = {"eval", model, "--tasks", "task.json", "--harness-json", out};
    if (name == "resume") words = {"eval", model, "--tasks", "task.json", "--resume", out};
    return words;
  }
  ProcessResult Run(const std::string& name, const std::string& out) const {
    return RunCrossover(Command(name, out), {.directory = directory_.path()});
  }
  /// By a shell, as `SCRIPT` in which "$@" is the command.
  ProcessResult Shell(const std::string& script, const Words& command) const {
    Words words{"sh", "-c", script, "sh", CrossoverBinary().string()};
    words.insert(words.end(), command.begin(), command.end());
    return RunProcess(words, {.directory = directory_.path()});
  }

 private:
  TemporaryDirectory directory_;
};

const Words kCommands{"quantize", "logits", "kl-save", "log-samples", "harness-json", "resume"};

TEST_CASE("every output follows a link and leaves it where it is") {
  const Inputs inputs;
  fs::create_directory(inputs / "there");
  for (const std::string& name : kCommands) {
    CAPTURE(name);
    WriteFile(inputs / "there" / name, "");
    fs::create_symlink("there/" + name, inputs / name);
    const ProcessResult result = inputs.Run(name, name);
    CHECK_MESSAGE(result.ok(), result.err);
    CHECK(fs::is_symlink(inputs / name));
    CHECK(fs::file_size(inputs / "there" / name) > 0);
  }
  CHECK(std::distance(fs::directory_iterator(inputs / "there"), fs::directory_iterator()) ==
        static_cast<std::ptrdiff_t>(kCommands.size()));
}

TEST_CASE("every output is written to a FIFO's reader as it is to a file") {
  const Inputs inputs;
  for (const std::string& name : kCommands) {
    CAPTURE(name);
    REQUIRE(mkfifo((inputs / "fifo").c_str(), 0600) == 0);
    auto read = std::async(std::launch::async, [&] { return ReadFile(inputs / "fifo"); });
    const ProcessResult result = inputs.Run(name, "fifo");
    CHECK_MESSAGE(result.ok(), result.err);
    CHECK(fs::is_fifo(inputs / "fifo"));
    if (!result.ok()) {  // else the reader would wait
      const Descriptor end(open((inputs / "fifo").c_str(), O_WRONLY | O_NONBLOCK));
    }
    const std::string got = read.get();
    fs::remove(inputs / "fifo");
    REQUIRE(inputs.Run(name, "file").ok());
    CHECK(got.size() > 0);
    // What names files or times differs.
    if (name == "quantize" || name == "logits" || name == "kl-save" || name == "log-samples") {
      CHECK(got == ReadFile(inputs / "file"));
    }
    fs::remove(inputs / "file");
  }
}

TEST_CASE("every output can be a device, which stays one") {
  const Inputs inputs;
  const fs::path node = inputs / "node";
  if (mknod(node.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0 ||
      !Descriptor(open(node.c_str(), O_WRONLY))) {
    return Skip("no device of our own can be made here (that needs root)");
  }
  for (const std::string& name : kCommands) {
    CAPTURE(name);
    const ProcessResult result = inputs.Run(name, "node");
    CHECK_MESSAGE(result.ok(), result.err);
    CHECK(fs::is_character_file(node));
  }
}

TEST_CASE("every output can be standard output") {
  const Inputs inputs;
  fs::create_symlink("/proc/self/fd/1", inputs / "stdout");
  REQUIRE(inputs.Run("logits", "file").ok());
  const ProcessResult result = inputs.Run("logits", "stdout");
  CHECK(result.out == ReadFile(inputs / "file"));
  CHECK(fs::is_symlink(inputs / "stdout"));
  // Through a pipe, and into a file behind what stands there.
  const ProcessResult piped = inputs.Shell("\"$@\" | cat", inputs.Command("logits", "stdout"));
  CHECK(piped.out == ReadFile(inputs / "file"));
  inputs.Shell("{ printf head; \"$@\"; printf tail; } > all", inputs.Command("logits", "stdout"));
  CHECK(ReadFile(inputs / "all") == "head" + ReadFile(inputs / "file") + "tail");
}

TEST_CASE("a folder as an output is refused in one line") {
  const Inputs inputs;
  fs::create_directory(inputs / "folder");
  for (const std::string& name : kCommands) {
    CAPTURE(name);
    const ProcessResult result = inputs.Run(name, "folder");
    CHECK(result.exit_code == 1);
    CHECK_MESSAGE(Contains(result.err, "folder is a folder"), result.err);
    CHECK(result.out.empty());
  }
}

TEST_CASE("with closed streams nothing that is for people lands in an output") {
  const Inputs inputs;
  // Longer than the model's context: a line on stderr is due.
  WriteFile(inputs / "data.jsonl", json{{"p", std::string(6000, 'a')}, {"a", "0"}}.dump() + "\n");
  REQUIRE(inputs.Run("log-samples", "open").ok());
  for (const char* closed : {"0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"}) {
    CAPTURE(closed);
    const ProcessResult result =
        inputs.Shell(std::string("exec \"$@\" ") + closed, inputs.Command("log-samples", "closed"));
    CHECK(result.exit_code == 0);
    CHECK(ReadFile(inputs / "closed") == ReadFile(inputs / "open"));
    fs::remove(inputs / "closed");
  }
}

TEST_CASE("a reader that leaves ends the program with a line, not by a signal") {
  const Inputs inputs;
  const std::string script = "{ \"$@\"; echo status $? >&2; } | true";
  Words command{"tokenize", EmbeddedXs(), "--file", "text.txt", "--pieces"};
  const ProcessResult printed = inputs.Shell("sleep 0.2; " + script, command);
  CHECK_MESSAGE(Contains(printed.err, "status 1"), printed.err);
  CHECK_MESSAGE(Contains(printed.err, "cannot write"), printed.err);
  fs::create_symlink("/proc/self/fd/1", inputs / "stdout");
  const ProcessResult written =
      inputs.Shell("(sleep 0.2; exec \"$@\"; ) | true; :", inputs.Command("quantize", "stdout"));
  CHECK_MESSAGE(Contains(written.err, "reading it has gone"), written.err);
}

TEST_CASE("a file is the input itself under any name: quantize refuses it and leaves it whole") {
  const Inputs inputs;
  fs::copy_file(EmbeddedXs(), inputs / "m.gguf");
  const std::string before = ReadFile(inputs / "m.gguf");
  fs::create_symlink("m.gguf", inputs / "link.gguf");
  fs::create_hard_link(inputs / "m.gguf", inputs / "hard.gguf");
  for (const char* out : {"m.gguf", "./m.gguf", "link.gguf", "hard.gguf"}) {
    CAPTURE(out);
    const ProcessResult result =
        RunCrossover({"quantize", "m.gguf", out, "Q4_0"}, {.directory = inputs.path()});
    CHECK(result.exit_code == 2);
    CHECK(Contains(result.err, "which is read; name another output"));
    CHECK(ReadFile(inputs / "m.gguf") == before);
  }
}

}  // namespace
}  // namespace crossover::test
