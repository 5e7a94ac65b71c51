// The command line's manners: exit codes, global flags, help.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ProcessResult;
using test::RunCrossover;

TEST_CASE("a wrong command line: exit code 2, a line that says so and a hint") {
  const std::vector<std::vector<std::string>> calls{{},
                                                    {"dance"},
                                                    {"info"},
                                                    {"bench"},
                                                    {"bench", "dance"},
                                                    {"synth"},
                                                    {"synth", "qwen2.5-7b", "Q4_K_M"},
                                                    {"synth", "dance", "Q4_K_M", "out.gguf"},
                                                    {"synth", "phi-4", "Q9", "out.gguf"},
                                                    {"generate", "m.gguf", "--dance"},
                                                    {"info", "--threads", "0", "m.gguf"},
                                                    {"info", "--threads", "many", "m.gguf"},
                                                    {"info", "--isa", "mmx", "m.gguf"},
                                                    {"info", "--kv-type", "q9", "m.gguf"},
                                                    {"info", "--load", "tape", "m.gguf"},
                                                    {"study", "demo"}};
  for (const auto& call : calls) {
    const ProcessResult result = RunCrossover(call);
    INFO(fmt::format("{}: {}", fmt::join(call, " "), result.err));
    CHECK(result.exit_code == 2);
    CHECK(result.err.rfind("crossover: ", 0) == 0);
    CHECK(test::Contains(result.err, "--help"));
    CHECK(test::CountLines(result.err) == 2);
    CHECK(result.out.empty());
  }
}

TEST_CASE("work that fails: exit code 1 and one line") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "not.gguf", "this is no model");
  const std::vector<std::vector<std::string>> calls{
      {"info", (directory / "absent.gguf").string()},
      {"info", (directory / "not.gguf").string()},
      {"info", directory.path().string()},
      {"bench", "model", (directory / "not.gguf").string()},
      {"report", directory.path().string()},
      {"study", "no-such-plan", "--out", (directory / "out").string()},
      {"study", (directory / "not.gguf").string(), "--out", (directory / "out").string()}};
  for (const auto& call : calls) {
    const ProcessResult result = RunCrossover(call);
    INFO(fmt::format("{}: {}", fmt::join(call, " "), result.err));
    CHECK(result.exit_code == 1);
    CHECK(result.err.rfind("crossover: ", 0) == 0);
    CHECK(test::CountLines(result.err) == 1);
  }
}

TEST_CASE("an unknown word is named, and the known ones beside it") {
  struct Call {
    std::vector<std::string> words;
    std::string unknown, known;
  };
  for (const Call& call : {Call{{"dance", "--json"}, "'dance'", " quantize "},
                           Call{{"bench", "dance"}, "'dance'", " machine "},
                           Call{{"synth", "dance", "F16", "o"}, "'dance'", " llama-3.1-8b "}}) {
    const ProcessResult result = RunCrossover(call.words);
    INFO(result.err);
    CHECK(result.exit_code == 2);
    CHECK(test::Contains(result.err, call.unknown));
    CHECK(test::Contains(result.err, call.known));
  }
}

TEST_CASE("synth writes a model that runs, and what it says of it is so") {
  const test::TemporaryDirectory directory;
  const std::string path = (directory / "one.gguf").string();
  const ProcessResult synth = RunCrossover({"synth", "qwen2.5-0.5b", "Q4_0", path, "--layers", "1",
                                            "--tensor-type", "ffn_down=Q8_0", "--json"});
  INFO(synth.err);
  REQUIRE(synth.ok());
  const json report = json::parse(synth.out);
  const json info = json::parse(RunCrossover({"info", path, "--json"}).out);
  CHECK(report.at("file_bytes") == fs::file_size(path));
  CHECK(report.at("file_bytes") == info.at("file_bytes"));
  CHECK(report.at("effective_bpw").get<double>() ==
        doctest::Approx(info.at("effective_bpw").get<double>()));
  for (const json& tensor : info.at("tensors")) {
    if (tensor.at("name") == "blk.0.ffn_down.weight") CHECK(tensor.at("format") == "Q8_0");
  }
  const ProcessResult run = RunCrossover({"generate", path, "-p", "Once upon", "-n", "4"});
  INFO(run.err);
  CHECK(run.ok());
}

TEST_CASE("generate draws the same text for a seed, also beside other prompts") {
  const auto run = [](const std::vector<std::string>& words, const char* seed = "7") {
    std::vector<std::string> call{"generate",
                                  test::EmbeddedXs(),
                                  "-n",
                                  "16",
                                  "--threads",
                                  "1",
                                  "--seed",
                                  seed,
                                  "--stop",
                                  "\n",
                                  "--json",
                                  "--quiet",
                                  "--activations",
                                  "f32",
                                  "--kv-type",
                                  "f32"};
    call.insert(call.end(), words.begin(), words.end());
    const ProcessResult result = RunCrossover(call);
    INFO(result.err);
    REQUIRE(result.ok());
    return json::parse(result.out);
  };
  const json one = run({"-p", "Once upon a time"});
  CHECK(one.at("text") == run({"-p", "Once upon a time"}).at("text"));
  CHECK(one.at("text") != run({"-p", "Once upon a time"}, "8").at("text"));
  const json three = run({"-p", "The king", "-p", "Once upon a time", "-p", "59 + 42 ="});
  REQUIRE(three.at("results").size() == 3);
  CHECK(three.at("results")[1].at("prompt") == "Once upon a time");
  CHECK(three.at("results")[1].at("text") == one.at("text"));

  const test::TemporaryDirectory directory;
  WriteFile(directory / "prompts.txt", "The king\n\nOnce upon a time\n");
  const json lines = run({"-f", (directory / "prompts.txt").string(), "--parallel", "2"});
  REQUIRE(lines.at("results").size() == 2);
  CHECK(lines.at("results")[1].at("text") == one.at("text"));
}

TEST_CASE("chat takes turns from its standard input, and reads only what is new") {
  const ProcessResult result = RunCrossover({"chat", test::EmbeddedXs(), "--system", "Be kind.",
                                             "-n", "12", "--temp", "0", "--json", "--ignore-eos"},
                                            {.input = "Hello\n\nHow are you?\r\n/clear\nHello"});
  INFO(result.err);
  REQUIRE(result.ok());
  CHECK(test::Contains(result.err, "no chat template"));
  std::vector<json> answers;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) answers.push_back(json::parse(line));
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].at("cached_tokens") == 0);
  CHECK(answers[1].at("cached_tokens").get<int>() >= answers[0].at("prompt_tokens").get<int>());
  CHECK(answers[2].at("text") == answers[0].at("text"));
}

TEST_CASE("chat uses the template it is given, and says what is wrong with it") {
  const test::TemporaryDirectory directory;
  const std::string path = (directory / "chat.jinja").string();
  const auto chat = [&] {
    return RunCrossover({"chat", test::EmbeddedXs(), "--chat-template", path, "-n", "1", "--json"},
                        {.input = "x\n"});
  };
  WriteFile(path, "{{ messages[0].content }}\n{% if %}");
  const ProcessResult broken = chat();
  CHECK(broken.exit_code == 1);
  CHECK(test::Contains(broken.err, "line 2"));
  CHECK(test::CountLines(broken.err) == 1);
  WriteFile(path, "{{ raise_exception('never') }}");
  CHECK(test::Contains(chat().err, "refuses: never"));
  WriteFile(path, "{{ messages[0].content }}");
  const ProcessResult good = chat();
  INFO(good.err);
  REQUIRE(good.ok());
  CHECK(json::parse(good.out).at("prompt_tokens") == 2);  // BOS and the letter
}

TEST_CASE("Ctrl-C stops an answer of chat, not the program") {
  const test::TemporaryDirectory directory;
  const std::string out = (directory / "out").string();
  const std::string model = (test::SourceRoot() / "models/reference-m.gguf").string();
  const std::string call = fmt::format("exec '{}' chat '{}' --ignore-eos --threads 1 --quiet >'{}'",
                                       test::CrossoverBinary().string(), model, out);
  test::Process process({"sh", "-c", call}, {.input = "Tell me a tale\n/exit\n"});
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while ((!fs::exists(out) || fs::file_size(out) == 0) &&
         std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.Signal(SIGINT);  // the first of up to 500 tokens is there
  const ProcessResult result = process.Wait();
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(ReadFile(out).ends_with('\n'));
  CHECK(fs::file_size(out) < 500);
}

TEST_CASE("synth leaves nothing when it is interrupted or has no room") {
  const test::TemporaryDirectory directory;
  const std::vector<std::string> words{test::CrossoverBinary().string(), "synth", "qwen2.5-14b",
                                       "F32", (directory / "big.gguf").string()};
  test::Process process(words);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (fs::is_empty(directory.path()) && process.Running() &&
         std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  process.Signal(SIGINT);
  const ProcessResult result = process.Wait();
  INFO(result.err);
  CHECK(result.exit_code == 1);
  CHECK(test::CountLines(result.err) == 1);
  CHECK(fs::is_empty(directory.path()));
}

TEST_CASE("an unknown CROSSOVER_ISA is an error, never a fallback") {
  const ProcessResult result =
      RunCrossover({"info", test::EmbeddedXs()}, {.environment = {{"CROSSOVER_ISA", "mmx"}}});
  CHECK(result.exit_code == 2);
  CHECK(test::Contains(result.err, "mmx"));
}

TEST_CASE("--version and --help answer on the standard output") {
  const ProcessResult version = RunCrossover({"--version"});
  CHECK(version.ok());
  CHECK(version.out.rfind("crossover ", 0) == 0);
  CHECK(RunCrossover({"--help"}).ok());
}

TEST_CASE("every subcommand's help has examples that call it") {
  for (const char* command :
       {"info", "tokenize", "generate", "chat", "logits", "imatrix", "quantize", "allocate",
        "perplexity", "eval", "bench", "bench kernels", "bench machine", "bench model",
        "bench crossover", "predict", "study", "report", "synth"}) {
    std::vector<std::string> words;
    std::istringstream split(command);
    for (std::string word; split >> word;) words.push_back(word);
    words.emplace_back("--help");
    const ProcessResult help = RunCrossover(words);
    INFO(command);
    CHECK(help.ok());
    const size_t examples = help.out.find("Examples:");
    REQUIRE(examples != std::string::npos);
    CHECK(help.out.find(fmt::format("crossover {}", command), examples) != std::string::npos);
  }
}

TEST_CASE("global flags count before and after the subcommand") {
  const ProcessResult before = RunCrossover({"--json", "info", test::EmbeddedXs()});
  const ProcessResult after = RunCrossover({"info", test::EmbeddedXs(), "--json"});
  REQUIRE(before.ok());
  CHECK(before.out == after.out);
  CHECK(json::parse(after.out).contains("architecture"));
}

}  // namespace
}  // namespace crossover
