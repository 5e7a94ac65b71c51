// `eval` from end to end: kinds of tasks, runs that are killed, files for other programs.
#include <fmt/format.h>

#include <algorithm>
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

size_t Lines(const fs::path& file) {
  const std::string text = fs::exists(file) ? ReadFile(file) : "";
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// A directory with the three kinds of tasks in lm-evaluation-harness's manner.
class Tasks {
 public:
  Tasks() {
    std::string items;
    for (int i = 0; i < 40; ++i) {
      items += json{{"q", fmt::format("{} + {} =", i, i + 3)},
                    {"a", std::to_string(2 * i + 3)},
                    {"b", std::to_string(2 * i)}}
                   .dump() +
               "\n";
    }
    WriteFile(directory_ / "items.jsonl", items);
    const json base = {{"items", {{{"file", "items.jsonl"}, {"format", "jsonl"}}}},
                       {"examples", "items"},
                       {"prompt", "{q}"}};
    json choose = base;
    choose.update({{"task", "choose"},
                   {"choices", {"{a}", "{b}"}},
                   {"answer", {{"is", "0"}, {"among", {"0", "1"}}}},
                   {"metrics", {"acc", "acc_norm"}}});
    json say = base;
    say.update({{"task", "say"},
                {"target", "{a}"},
                {"fewshot", 1},
                {"generate",
                 {{"until", {"\n"}},
                  {"max_tokens", 8},
                  {"extract", {{"number", {{"regex", "[0-9]+"}}}}},
                  {"program", "assert '{generated}' == '{a}'"}}},
                {"metrics", {"exact_match", "pass@1"}}});
    json read = base;
    read.update({{"task", "read"},
                 {"target", "{q} {a}"},
                 {"counted", "{q} {a}"},
                 {"metrics", {"word_perplexity", "bits_per_byte"}}});
    for (const json& task : {choose, say, read}) {
      WriteFile(directory_ / (task["task"].get<std::string>() + ".json"), task.dump(1));
    }
  }

  fs::path file(const std::string& name) const { return directory_ / name; }
  std::vector<std::string> Words(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {
        "eval", (test::SourceRoot() / "models/reference-xs.gguf").string(), "--json", "--tasks",
        fmt::format("{},{},{}", file("choose.json").string(), file("say.json").string(),
                    file("read.json").string())};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

 private:
  test::TemporaryDirectory directory_;
};

TEST_CASE("eval: an interrupted run goes on, and ends as one that was not") {
  const Tasks tasks;
  const ProcessResult whole = RunCrossover(tasks.Words());
  INFO(whole.err);
  REQUIRE(whole.ok());
  CHECK(json::parse(whole.out).size() == 6);
  const fs::path journal = tasks.file("run.jsonl");
  const auto words = tasks.Words({"--resume", journal.string()});
  auto command = words;
  command.insert(command.begin(), test::CrossoverBinary().string());
  // Killed twice, wherever it was, and with half a line at the end.
  for (const size_t enough : {1u, 60u}) {
    test::Process process(command);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(100);
    while (process.Running() && Lines(journal) < enough &&
           std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    process.Signal(SIGKILL);
    process.Wait();
    CHECK(Lines(journal) >= enough);
    WriteFile(journal, ReadFile(journal) + "{\"gener");
  }
  const size_t kept = Lines(journal);
  const ProcessResult resumed = RunCrossover(words);
  INFO(resumed.err);
  REQUIRE(resumed.ok());
  CHECK(resumed.out == whole.out);
  CHECK(test::Contains(resumed.err, "answered by an earlier run"));
  CHECK(Lines(journal) == 120);
  CHECK(kept <= 120);
  // Another question is asked again.
  REQUIRE(RunCrossover(tasks.Words({"--resume", journal.string(), "--fewshot", "2"})).ok());
  CHECK(Lines(journal) > 120);
}

TEST_CASE("eval: results and samples in lm-evaluation-harness's shape") {
  const Tasks tasks;
  const fs::path results = tasks.file("results.json");
  const fs::path samples = tasks.file("samples.jsonl");
  const ProcessResult run = RunCrossover(tasks.Words(
      {"--limit", "5", "--harness-json", results.string(), "--log-samples", samples.string()}));
  INFO(run.err);
  REQUIRE(run.ok());
  const json harness = json::parse(ReadFile(results));
  const json& say = harness.at("results").at("say");
  CHECK(say.at("alias") == "say");
  CHECK(say.at("exact_match,number").is_number());
  CHECK(say.at("exact_match_stderr,number").is_number());
  CHECK(say.at("pass@1,number").is_null());
  CHECK(say.at("pass@1_stderr,number") == "N/A");
  CHECK(harness.at("results").at("choose").at("acc_norm,none").is_number());
  CHECK(harness.at("results").at("read").at("word_perplexity,none").get<double>() > 1);
  CHECK(harness.at("n-shot").at("say") == 1);
  CHECK(harness.at("n-samples").at("say") == json{{"original", 40}, {"effective", 5}});
  CHECK(harness.at("higher_is_better").at("read").at("word_perplexity") == false);
  CHECK(harness.at("configs").at("say").at("output_type") == "generate_until");
  CHECK(harness.at("config").at("limit") == 5);

  std::istringstream lines(ReadFile(samples));
  std::vector<json> items;
  for (std::string line; std::getline(lines, line);) items.push_back(json::parse(line));
  REQUIRE(items.size() == 15);
  CHECK(items[0].at("doc").at("q") == "0 + 3 =");
  CHECK(items[0].at("arguments").at("gen_args_1") == json{{"arg_0", "0 + 3 ="}, {"arg_1", " 0"}});
  REQUIRE(items[0].at("filtered_resps").size() == 2);
  const json& response = items[0].at("filtered_resps")[1];  // ["-12.5", "False"]
  REQUIRE(response.is_array());
  CHECK(std::stod(response.at(0).get<std::string>()) < 0);
  CHECK((response.at(1) == "True" || response.at(1) == "False"));
  CHECK(items[0].at("resps")[1] == json::array({response}));
  CHECK(items[5].at("filter") == "number");
  CHECK(items[5].at("target") == "3");
  CHECK(items[5].at("pass@1").is_null());
  CHECK(items[10].at("word_perplexity").size() == 2);
}

TEST_CASE("eval: generated programs run only when asked for") {
  const Tasks tasks;
  const auto value = [](const ProcessResult& run) -> json {
    for (const json& row : json::parse(run.out)) {
      if (test::Contains(row.at("metric").get<std::string>(), "pass@1")) return row.at("value");
    }
    return "no such row";
  };
  const ProcessResult without = RunCrossover(tasks.Words({"--limit", "3"}));
  REQUIRE(without.ok());
  CHECK(value(without).is_null());
  CHECK(test::Contains(without.out, "--run-generated-programs"));
  const ProcessResult with =
      RunCrossover(tasks.Words({"--limit", "3", "--run-generated-programs"}));
  INFO(with.err);
  if (!with.ok() && test::Contains(with.err, "generated programs")) {
    test::Skip("programs cannot be shut in here");
    return;
  }
  REQUIRE(with.ok());
  CHECK(value(with).is_number());
}

TEST_CASE("eval: a model without a chat template says so; words that do not fit") {
  const Tasks tasks;
  const ProcessResult chat = RunCrossover(tasks.Words({"--chat-template"}));
  CHECK(chat.exit_code == 1);
  CHECK(test::Contains(chat.err, "the model has no chat template"));
  CHECK(RunCrossover(tasks.Words({"--fewshot-as-multiturn"})).exit_code == 2);
  CHECK(RunCrossover({"eval", "a.gguf", "b.gguf", "--harness-json", "r.json"}).exit_code == 2);
}

}  // namespace
}  // namespace crossover
