// What a run tells of itself: one line where something is other than was asked for, and numbers
// with the noun that they want.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/command_line.h"

namespace crossover::test {
namespace {

using nlohmann::json;

ProcessResult Quietly(Words words) {
  words.insert(words.begin(), {"--threads", "1", "--quiet"});
  return RunCrossover(words);
}

TEST_CASE("one warning where a run goes beyond the context the model was trained for") {
  // The model's is 512.
  std::string ids;
  for (int i = 0; i < 600; ++i) ids += "7 ";
  const test::TemporaryDirectory directory;
  WriteFile(directory / "ids.txt", ids);
  const std::string tokens = (directory / "ids.txt").string();
  const std::string out = (directory / "out").string();
  for (const Words& call : std::vector<Words>{
           {"perplexity", EmbeddedXs(), "-f", Heldout(), "-c", "514", "--chunks", "1"},
           {"generate", EmbeddedXs(), "-p", "The", "-n", "520", "--temp", "0", "--ignore-eos"},
           {"generate", EmbeddedXs(), "-p", "a", "-p", "b", "-n", "520", "--temp", "0", "--stop",
            "e"},
           {"bench", "model", EmbeddedXs(), "-p", "520", "-n", "1", "-r", "1"},
           {"logits", EmbeddedXs(), "--tokens", tokens, "--out", out}}) {
    const ProcessResult result = Quietly(call);
    INFO(Told(call, result));
    CHECK(result.ok());
    CHECK(test::CountLines(result.err) == 1);
    CHECK(Contains(result.err, "warning"));
    CHECK(Contains(result.err, "context of 512 tokens"));
  }
  for (const Words& call : std::vector<Words>{
           {"perplexity", EmbeddedXs(), "-f", Heldout(), "-c", "512", "--chunks", "1"},
           {"generate", EmbeddedXs(), "-p", "The", "-n", "16", "--temp", "0"}}) {
    CHECK(Quietly(call).err.empty());
  }
}

TEST_CASE("-c bounds prompt and text together, and -n -1 fills it") {
  const auto run = [](const Words& words) {
    Words call{"--json", "generate", EmbeddedXs(), "-p", "The king", "--ignore-eos", "--temp", "0"};
    call.insert(call.end(), words.begin(), words.end());
    return Quietly(call);
  };
  const ProcessResult cut = run({"-c", "32", "-n", "100"});
  INFO(cut.err);
  REQUIRE(cut.ok());
  const json result = json::parse(cut.out);
  CHECK(result.at("prompt_tokens").get<size_t>() + result.at("ids").size() == 32);
  CHECK(test::CountLines(cut.err) == 1);
  const ProcessResult full = run({"-c", "32", "-n", "-1"});
  CHECK(json::parse(full.out).at("ids") == result.at("ids"));
  CHECK(full.err.empty());
  const ProcessResult small = run({"-c", "2"});
  CHECK(small.exit_code == 1);
  CHECK(Contains(small.err, "larger -c"));
}

TEST_CASE("a prompt that writes BOS itself gets no second one; tokenize warns of two") {
  const auto ids = RunCrossover({"--json", "tokenize", EmbeddedXs()}, {.input = "a"});
  const auto bos = json::parse(ids.out).at("ids")[0].get<int>();
  const ProcessResult text =
      RunCrossover({"tokenize", EmbeddedXs(), "--decode"}, {.input = std::to_string(bos)});
  REQUIRE_FALSE(text.out.empty());
  const auto prompt_tokens = [](const std::string& prompt) {
    const auto result = Quietly({"--json", "generate", EmbeddedXs(), "-p", prompt, "-n", "1"});
    return json::parse(result.out).at("prompt_tokens").get<int>();
  };
  CHECK(prompt_tokens(text.out + "The king") == prompt_tokens("The king"));
  const ProcessResult two =
      RunCrossover({"--json", "tokenize", EmbeddedXs()}, {.input = text.out + "a"});
  CHECK(json::parse(two.out).at("ids")[1] == bos);
  CHECK(Contains(two.err, "BOS"));
}

TEST_CASE("words beside which greedy drawing leaves others no effect: one line says so") {
  const ProcessResult result = Quietly({"generate", EmbeddedXs(), "-p", "a", "-n", "1", "--temp",
                                        "0", "--top-k", "5", "--seed", "3"});
  CHECK(result.ok());
  CHECK(test::CountLines(result.err) == 1);
  CHECK(Contains(result.err, "--top-k, --seed have no effect"));
}

TEST_CASE("a pattern of --tensor-type that decides nothing is refused before any work") {
  const test::TemporaryDirectory directory;
  const std::string out = (directory / "q.gguf").string();
  const auto quantize = [&](const Words& words) {
    Words call{"quantize", EmbeddedXs(), out};
    call.insert(call.end(), words.begin(), words.end());
    return Quietly(call);
  };
  struct Call {
    Words words;
    std::string said;
  };
  for (const Call& call :
       {Call{{"Q8_0", "--tensor-type", "nosuch=Q4_0"}, "'nosuch' has no effect: no tensor"},
        Call{{"Q8_0", "--tensor-type", "norm=Q4_0"}, "never quantised"},
        Call{{"Q8_0", "--tensor-type", "attn=Q4_0", "--tensor-type", "attn_v=Q5_0"},
             "'attn_v' has no effect: an earlier"},
        Call{{"F16", "--tensor-type", "attn_v=Q5_0"}, "F16 quantises nothing"}}) {
    const ProcessResult result = quantize(call.words);
    INFO(result.err);
    CHECK(result.exit_code == 1);
    CHECK(Contains(result.err, call.said));
    CHECK_FALSE(std::filesystem::exists(out));
  }
  CHECK(quantize({"Q8_0", "--tensor-type", "attn_v=Q5_0", "--tensor-type", "attn=Q4_0"}).ok());
}

TEST_CASE("fallbacks are told in one line that counts them") {
  const test::TemporaryDirectory directory;
  const std::string tiny = (test::SourceRoot() / "tests/data/tiny-llama.gguf").string();
  const ProcessResult result =
      Quietly({"quantize", tiny, (directory / "q.gguf").string(), "Q4_K_M"});
  INFO(result.err);
  REQUIRE(result.ok());
  CHECK(test::CountLines(result.err) == 1);
  CHECK(Contains(result.err, "other formats"));
  CHECK(Contains(result.err, "Q4_K as Q5_0"));
}

TEST_CASE("more threads than the process may use: a hint") {
  const ProcessResult result = RunCrossover({"--threads", "1024", "info", EmbeddedXs()});
  CHECK(result.ok());
  CHECK(test::CountLines(result.err) == 1);
  CHECK(Contains(result.err, "1024 threads on "));
  CHECK(RunCrossover({"--threads", "1", "info", EmbeddedXs()}).err.empty());
}

TEST_CASE("eval tells which words its tasks have no use for") {
  const ProcessResult result = Quietly({"eval", EmbeddedXs(), "--tasks", "facts", "--limit", "2",
                                        "--max-new-tokens", "5", "--run-generated-programs"});
  CHECK(result.ok());
  CHECK(Contains(result.err, "--max-new-tokens has no effect"));
  CHECK(Contains(result.err, "--run-generated-programs has no effect"));
}

TEST_CASE("a study tells what its models leave unsaid once, and its report tells it again") {
  const test::TemporaryDirectory directory;
  // A model that writes in a way of its own.
  std::string bytes = ReadFile(EmbeddedXs());
  const std::string key = "tokenizer.ggml.pre";
  const size_t at = bytes.find(key);
  REQUIRE(at != std::string::npos);
  bytes.replace(at, key.size(), "tokenizer.ggml.prX");
  WriteFile(directory / "m.gguf", bytes);
  const ProcessResult alone =
      Quietly({"generate", (directory / "m.gguf").string(), "-p", "a", "-n", "1"});
  INFO(alone.err);
  REQUIRE(CountLines(alone.err) > 0);
  const std::string warning = alone.err.substr(alone.err.find("m.gguf: "),
                                               alone.err.find('\n') - alone.err.find("m.gguf: "));
  WriteFile(directory / "plan.json", R"({"name": "told", "models": ["m.gguf"],
      "recipes": ["file", "Q8_0"], "metrics": {"perplexity": {"text": "embedded:heldout",
      "context": 64, "chunks": 1}}})");
  const std::string out = (directory / "out").string();
  const ProcessResult study = Quietly({"study", (directory / "plan.json").string(), "--out", out});
  INFO(study.err);
  CHECK(study.ok());
  CHECK(CountLines(study.err) == CountLines(alone.err));
  CHECK(Contains(study.err, warning));
  const ProcessResult report = Quietly({"report", out});
  CHECK(report.ok());
  CHECK(Contains(report.out, warning.substr(warning.find(": ") + 2)));
}

TEST_CASE("one is no plural") {
  const test::TemporaryDirectory directory;
  const std::string item = (directory / "mine.jsonl").string();
  WriteFile(item, R"({"context": "the", "choices": [" a", " b"], "answer": 0})"
                  "\n");
  WriteFile(directory / "ids.txt", "1");
  const std::string ids = (directory / "ids.txt").string();
  const std::regex plural(R"((^|[^\d.])1 (tokens|layers|chunks|items|cells|threads|rows|prompts|)"
                          R"(repetitions|heads|bytes|rounds|models|tensors|windows)\b)");
  for (const Words& call : std::vector<Words>{
           {"info", EmbeddedXs()},
           {"generate", EmbeddedXs(), "-p", "a", "-n", "1"},
           {"generate", EmbeddedXs(), "-p", "a", "-n", "1", "--parallel", "1"},
           {"perplexity", EmbeddedXs(), "-f", Heldout(), "-c", "64", "--chunks", "1"},
           {"logits", EmbeddedXs(), "--tokens", ids, "--out", (directory / "l").string()},
           {"logits", EmbeddedXs(), "--tokens", ids, "--last", "2", "--out", "l"},
           {"eval", EmbeddedXs(), "--tasks", item},
           {"eval", EmbeddedXs(), "--tasks", item, "--fewshot", "1"},
           {"bench", "model", EmbeddedXs(), "-p", "1", "-n", "1", "-r", "1"},
           {"quantize", EmbeddedXs(), (directory / "q.gguf").string(), "Q8_0"}}) {
    Words words{"--threads", "1"};
    words.insert(words.end(), call.begin(), call.end());
    const ProcessResult result = RunCrossover(words, {.directory = directory.path()});
    INFO(fmt::format("{}\n{}{}", fmt::join(call, " "), result.out, result.err));
    CHECK_FALSE(std::regex_search(result.out, plural));
    CHECK_FALSE(std::regex_search(result.err, plural));
  }
}

}  // namespace
}  // namespace crossover::test
