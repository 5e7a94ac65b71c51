#include "evals/task_file.h"

#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "evals/shipped_tasks.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

const std::string kTask =
    R"({"task": "t", "items": [{"file": "t.jsonl", "format": "jsonl"}], "prompt": "{q}",
        "choices": ["{a}", "{b}"], "answer": {"is": "{n}", "among": ["0", "1"]},
        "metrics": ["acc"]})";

// What is said about kTask with `from` replaced by `to`.
std::string Failure(const std::string& from, const std::string& to) {
  std::string text = kTask;
  text.replace(text.find(from), from.size(), to);
  try {
    ParseTaskFile(text, "t.json");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "accepted";
}

TEST_CASE("task file: a small one") {
  const TaskFile task = ParseTaskFile(kTask, "t.json");
  CHECK(task.name == "t");
  CHECK(task.delimiter == " ");
  CHECK(task.members.size() == 1);
  CHECK(task.examples.empty());
  CHECK(task.order == ExampleOrder::kSample);
  CHECK(task.metrics == std::vector{HarnessMetric::kAcc});
}

TEST_CASE("task file: what is off is said with its key") {
  CHECK(
      Failure("\"prompt\"", "\"promt\"").starts_with("t.json: no key \"promt\"; there are: task"));
  CHECK(Failure("\"prompt\"", "\"pro\\nmt\"")
            .starts_with("t.json: no key \"pro\\x0amt\"; there are: task"));
  CHECK(Failure("\"t\"", "7") == "t.json: expected a text as \"task\"");
  CHECK(Failure("\"jsonl\"", "\"xml\"") ==
        "t.json: \"items\": \"xml\" is no \"format\"; there are: jsonl, json, csv, lines, "
        "wikitext");
  CHECK(Failure("\"jsonl\"", "\"csv\"") == "t.json: \"items\": expected a key \"columns\"");
  CHECK(Failure("{a}", "{a").starts_with("t.json: \"choices\": a \"{\" without"));
  CHECK(Failure("\"prompt\": \"{q}\"", "\"prompt\": \"{q|loud}\"")
            .starts_with("t.json: \"prompt\": no filter \"loud\""));
  CHECK(Failure("[\"acc\"]", "[\"f1\"]").starts_with("t.json: \"f1\" is no \"metrics\""));
  CHECK(Failure("[\"acc\"]", "[\"perplexity\"]") ==
        "t.json: the metric \"perplexity\" does not go with this kind of task");
  CHECK(Failure("[\"acc\"]", "[]") == "t.json: expected an array of texts as \"metrics\"");
  CHECK(Failure("\"metrics\"", "]").starts_with("t.json:3: not JSON"));
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  CHECK(Failure("\"t\"", deep).starts_with("t.json: brackets are nested deeper than 100 in task"));
  CHECK(Failure("\"prompt\"", "\"task\": 1, \"prompt\"")
            .starts_with("t.json: the key 'task' stands twice"));
}

TEST_CASE("task file: generations and whole texts") {
  const TaskFile gsm8k = *FindTaskFile("gsm8k");
  CHECK(gsm8k.kind == RequestKind::kGenerate);
  CHECK(gsm8k.fewshot == 5);
  CHECK(gsm8k.columns().size() == 2);
  CHECK(gsm8k.generate.extractions[1].name == "flexible-extract");
  CHECK(FindTaskFile("wikitext")->kind == RequestKind::kRolling);
  CHECK(FindTaskFile("humaneval")->generate.max_tokens == 1024);

  const auto with = [&](const std::string& rest) {
    std::string text = kTask;
    text.replace(text.find('['), std::string::npos, R"([{"file": "f", "format": "jsonl"}],
        "prompt": "{q}", )" + rest + "}");
    try {
      ParseTaskFile(text, "t.json");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string target = R"("target": "{a}", )";
  CHECK(with(target + R"("generate": {"until": ["x"]}, "metrics": ["exact_match"])") == "accepted");
  CHECK(with(R"("generate": {"until": ["x"]}, "metrics": ["exact_match"])") ==
        "t.json: expected either \"choices\" or one \"target\"");
  CHECK(with(target + R"("metrics": ["exact_match"])") == "t.json: expected a key \"generate\"");
  CHECK(with(target + R"("generate": {"until": ["x"]}, "metrics": ["pass@1"])") ==
        "t.json: the metric \"pass@1\" does not go with this kind of task");
  CHECK(with(target + R"("generate": {"until": [""]}, "metrics": ["exact_match"])") ==
        "t.json: \"generate\": expected no empty text in \"until\"");
  CHECK(with(target + R"("generate": {"until": ["x"], "extract": {"a": {"regex": "("}}},)"
                      R"("metrics": ["exact_match"])")
            .starts_with("t.json: \"generate\": \"extract\": \"a\": \"regex\": pattern '('"));
}

TEST_CASE("task file: every shipped one is found by its file's name") {
  CHECK(ShippedTasks().size() >= 14);
  for (const ShippedTask& shipped : ShippedTasks()) {
    CAPTURE(shipped.name);
    const auto task = FindTaskFile(std::string(shipped.name));
    REQUIRE(task.has_value());
    CHECK(task->name == shipped.name);
  }
  CHECK_FALSE(FindTaskFile("nothing").has_value());
}

TEST_CASE("task file: a user's own, by its path") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "mine.json", kTask);
  CHECK(FindTaskFile((directory / "mine.json").string())->name == "t");
  CHECK_THROWS_AS(FindTaskFile((directory / "absent.json").string()), Error);
}

}  // namespace
}  // namespace crossover::evals
