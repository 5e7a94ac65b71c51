// Files that commands are given: standard input, prompts as editors leave them, and files that are
// not what was meant.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/command_line.h"
#include "tests/support/not_models.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST_CASE("-f - is the standard input") {
  const std::string text = ReadFile(Heldout()).substr(0, size_t{20} << 10);
  const std::string xs = EmbeddedXs();
  const test::TemporaryDirectory directory;
  WriteFile(directory / "text.txt", text);
  const std::string file = (directory / "text.txt").string();
  for (const Words& call :
       std::vector<Words>{{"perplexity", xs, "-c", "64", "--chunks", "1"},
                          {"perplexity", xs, xs, "-c", "64", "--chunks", "1"},
                          {"perplexity", xs, "--kl-model", xs, "-c", "64", "--chunks", "1"},
                          {"tokenize", xs}}) {
    Words words = call;
    words.insert(words.end(), {"-f", "-", "--json"});
    const ProcessResult piped = RunCrossover(words, {.input = text});
    INFO(Told(call, piped));
    CHECK(piped.ok());
    words[words.size() - 2] = file;
    CHECK(piped.out == RunCrossover(words).out);
  }
  const ProcessResult generated =
      RunCrossover({"generate", xs, "-f", "-", "-n", "1"}, {.input = "The king"});
  CHECK(generated.ok());
  const ProcessResult logits = RunCrossover(
      {"logits", xs, "--tokens", "-", "--out", (directory / "l").string()}, {.input = "1 2 3"});
  CHECK(logits.ok());
  const ProcessResult bad = RunCrossover(
      {"logits", xs, "--tokens", "-", "--out", (directory / "l").string()}, {.input = "x"});
  CHECK(Contains(bad.err, "standard input"));
}

TEST_CASE("a prompt's file loses its byte order mark and the end of its last line, nothing else") {
  const test::TemporaryDirectory directory;
  const auto prompt_tokens = [&](const std::string& text) {
    WriteFile(directory / "p.txt", text);
    const ProcessResult result = RunCrossover({"--json", "--threads", "1", "generate", EmbeddedXs(),
                                               "-f", (directory / "p.txt").string(), "-n", "1"});
    REQUIRE(result.ok());
    return json::parse(result.out).at("prompt_tokens").get<int>();
  };
  const int plain = prompt_tokens("the 12");
  CHECK(prompt_tokens("the 12\n") == plain);
  CHECK(prompt_tokens("the 12\r\n") == plain);
  CHECK(prompt_tokens("\xEF\xBB\xBFthe 12\n") == plain);
  CHECK(prompt_tokens("the 12\n\n") > plain);
  CHECK(prompt_tokens("the 12\r") > plain);

  WriteFile(directory / "lines.txt", "\xEF\xBB\xBFthe\r\n\r\nking\r\n");
  const ProcessResult lines =
      RunCrossover({"--json", "--threads", "1", "generate", EmbeddedXs(), "-f",
                    (directory / "lines.txt").string(), "--parallel", "2", "-n", "1"});
  REQUIRE(lines.ok());
  const json results = json::parse(lines.out).at("results");
  REQUIRE(results.size() == 2);
  CHECK(results[0].at("prompt") == "the");
  CHECK(results[1].at("prompt") == "king");
}

TEST_CASE("a Hugging Face directory is a model for every command") {
  const std::string folder = (test::SourceRoot() / "tests/data/tiny-llama-hf").string();
  const std::string file = (test::SourceRoot() / "tests/data/tiny-llama.gguf").string();
  const std::string text = Heldout();
  const test::TemporaryDirectory directory;
  for (const Words& call :
       std::vector<Words>{{"info", folder},
                          {"generate", folder, "-p", "a", "-n", "2"},
                          {"tokenize", folder},
                          {"logits", folder, "--tokens", "-", "--out", (directory / "x").string()},
                          {"perplexity", folder, "-f", text, "-c", "64", "--chunks", "2"},
                          {"bench", "model", folder, "-r", "1", "-p", "8", "-n", "2"}}) {
    const ProcessResult result = RunCrossover(call, {.input = "1"});
    INFO(Told(call, result));
    CHECK(result.ok());
  }
  const Words rest{"-p", "the", "-n", "12", "--temp", "0", "--activations", "f32"};
  const auto generated = [&](const std::string& model) {
    Words call{"generate", model};
    call.insert(call.end(), rest.begin(), rest.end());
    return RunCrossover(call).out;
  };
  CHECK(!generated(folder).empty());
  CHECK(generated(folder) == generated(file));
}

TEST_CASE("a directory that holds no model is told so") {
  const test::TemporaryDirectory directory;
  fs::create_directory(directory / "my models");
  WriteFile(directory / "my models" / "config.json", "{}");
  CHECK(Contains(RunCrossover({"info", (directory / "my models").string()}).err,
                 "config.json: 'architectures' is missing"));
  WriteFile(directory / "a.gguf", "x");
  CHECK(Contains(RunCrossover({"info", directory.path().string()}).err, "in it: a.gguf"));
}

TEST_CASE("what a file is instead of a model is said, and what to do") {
  const test::TemporaryDirectory directory;
  const std::string path = (directory / "m.gguf").string();
  for (const NotModel& content : NotModels()) {
    WriteFile(directory / "m.gguf", content.bytes);
    for (const char* command : {"info", "tokenize"}) {
      const ProcessResult result = RunCrossover({command, path});
      INFO(result.err);
      CHECK(result.exit_code == 1);
      CHECK(test::CountLines(result.err) == 1);
      CHECK(Contains(result.err, content.said));
    }
  }
}

TEST_CASE("a download that has not ended is called so") {
  const test::TemporaryDirectory directory;
  const std::string model = ReadFile(EmbeddedXs());
  WriteFile(directory / "m.gguf.part", model.substr(0, model.size() / 2));
  CHECK(Contains(RunCrossover({"info", (directory / "m.gguf.part").string()}).err,
                 "its name ends in .part"));
  // Whole by its length, as aria2c makes it.
  WriteFile(directory / "m.gguf", model);
  WriteFile(directory / "m.gguf.aria2", "x");
  const ProcessResult aria = RunCrossover({"info", (directory / "m.gguf").string()});
  CHECK(aria.exit_code == 1);
  CHECK(Contains(aria.err, "m.gguf.aria2"));
  fs::remove(directory / "m.gguf.aria2");
  CHECK(RunCrossover({"info", (directory / "m.gguf").string()}).ok());
}

TEST_CASE("a Git LFS pointer is known wherever a file is read") {
  const test::TemporaryDirectory directory;
  const auto at = [&](const char* name) { return (directory / name).string(); };
  const fs::path source = test::SourceRoot() / "tests/data/tiny-llama-hf";
  const std::vector<std::string> files{"config.json", "tokenizer.json", "model.safetensors"};
  for (const std::string& name : files) {
    fs::remove_all(directory / "hf");
    fs::copy(source, directory / "hf", fs::copy_options::recursive);
    REQUIRE(fs::exists(directory / "hf" / name));
    WriteFile(directory / "hf" / name, LfsPointer());
    const ProcessResult result = RunCrossover({"quantize", at("hf"), at("q.gguf"), "F16"});
    INFO(fmt::format("{}: {}", name, result.err));
    CHECK(result.exit_code == 1);
    CHECK(Contains(result.err, name));
    CHECK(Contains(result.err, "git lfs pull"));
    CHECK_FALSE(fs::exists(directory / "q.gguf"));
  }
  WriteFile(directory / "p", LfsPointer());
  WriteFile(directory / "p.jsonl", LfsPointer());
  WriteFile(directory / "p.json", LfsPointer());
  for (const Words& call :
       std::vector<Words>{{"perplexity", EmbeddedXs(), "-f", at("p")},
                          {"quantize", EmbeddedXs(), at("q.gguf"), "Q4_0", "--imatrix", at("p")},
                          {"eval", EmbeddedXs(), "--tasks", at("p.jsonl")},
                          {"eval", EmbeddedXs(), "--tasks", at("p.json")},
                          {"chat", EmbeddedXs(), "--chat-template", at("p")},
                          {"logits", EmbeddedXs(), "--tokens", at("p"), "--out", at("l")},
                          {"study", at("p.json"), "--out", at("out")}}) {
    const ProcessResult result = RunCrossover(call);
    INFO(Told(call, result));
    CHECK(result.exit_code == 1);
    CHECK(Contains(result.err, "git lfs pull"));
  }
}

TEST_CASE("eval takes its tasks by any path") {
  const test::TemporaryDirectory directory;
  fs::create_directories(directory / "sub");
  const std::string item = R"({"context": "the", "choices": [" a", " b"], "answer": 0})"
                           "\n";
  WriteFile(directory / "sub/mine.jsonl", item);
  WriteFile(directory / "here.jsonl", item);
  WriteFile(directory / "sub/plain", item);
  for (const std::string& name :
       {std::string("sub/mine.jsonl"), std::string("sub/mine"), std::string("./here.jsonl"),
        std::string("here.jsonl"), std::string("sub/plain"),
        (directory / "sub/mine.jsonl").string()}) {
    const ProcessResult result =
        RunCrossover({"--threads", "1", "--json", "eval", EmbeddedXs(), "--tasks", name},
                     {.directory = directory.path()});
    INFO(fmt::format("{}: {}", name, result.err));
    REQUIRE(result.ok());
    const std::string task = json::parse(result.out)[0].at("task");
    CHECK(task == fs::path(name).stem().string());
  }
  const ProcessResult absent = RunCrossover({"eval", EmbeddedXs(), "--tasks", "sub/other.jsonl"},
                                            {.directory = directory.path()});
  CHECK(absent.exit_code == 1);
  CHECK(Contains(absent.err, "sub/other.jsonl"));
  CHECK_FALSE(Contains(absent.err, ".jsonl.jsonl"));
}

}  // namespace
}  // namespace crossover::test
