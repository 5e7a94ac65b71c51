#include "evals/task.h"

#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "evals/embedded.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

std::string Failure(const std::string& text) {
  try {
    ParseTask("t", text, "items.jsonl");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "accepted";
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("task: multiple choice") {
  const Task task = ParseTask("t",
                              "{\"context\":\"a\",\"choices\":[\" b\",\" c\"],\"answer\":1}\n"
                              "\r\n"
                              "{\"context\":\"\",\"choices\":[\"d\",\"e\",\"f\"],\"answer\":0}",
                              "items.jsonl");
  CHECK(task.name == "t");
  CHECK(task.size() == 2);
  const auto& items = std::get<std::vector<MultipleChoiceItem>>(task.items);
  CHECK(items[0].choices[1] == " c");
  CHECK(items[0].answer == 1);
  CHECK(items[1].choices.size() == 3);
}

TEST_CASE("task: generation") {
  const Task task = ParseTask("t", "{\"prompt\":\"1 + 1 =\",\"answer\":\"2\"}\n", "items.jsonl");
  const auto& items = std::get<std::vector<GenerationItem>>(task.items);
  REQUIRE(items.size() == 1);
  CHECK(items[0].prompt == "1 + 1 =");
  CHECK(items[0].answer == "2");
}

TEST_CASE("task: a broken line is named with what was expected") {
  const std::string good = "{\"prompt\":\"p\",\"answer\":\"a\"}\n";
  const auto second = [&](const std::string& line) { return Failure(good + line); };
  CHECK(Contains(second("{\"prompt\":\"p\""), "items.jsonl:2: not JSON"));
  CHECK(Contains(second("\xff\xfe"), "items.jsonl:2: not JSON"));
  CHECK(Contains(second("[1]"), "items.jsonl:2: expected an object"));
  CHECK(Contains(second("{\"answer\":\"a\"}"), "items.jsonl:2: expected a string \"prompt\""));
  CHECK(Contains(second("{\"prompt\":1,\"answer\":\"a\"}"), "expected a string \"prompt\""));
  CHECK(Contains(second("{\"prompt\":\"p\",\"answer\":\"a\\nb\"}"), "one line"));
  CHECK(Contains(second("{\"prompt\":\"p\",\"answer\":\" \"}"), "not blank"));
  CHECK(Contains(second("{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"answer\":0}"),
                 "items.jsonl:2: the shape differs"));
  CHECK(Contains(Failure("\n\n{\"context\":\"c\",\"choices\":[\"a\"],\"answer\":0}"),
                 "items.jsonl:3: expected \"choices\""));
  CHECK(Contains(Failure("{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"answer\":2}"), "0 to 1"));
  CHECK(Contains(Failure("{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"answer\":-1}"), "0 to 1"));
  CHECK(
      Contains(Failure("{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"answer\":\"0\"}"), "0 to"));
  CHECK(
      Contains(Failure("{\"context\":\"c\",\"choices\":[\"a\",\"\"],\"answer\":0}"), "not blank"));
  CHECK(Contains(Failure("{\"context\":\"c\",\"choices\":[\"a\",3],\"answer\":0}"), "a string"));
  CHECK(Contains(Failure(""), "no items"));
  CHECK(Contains(Failure("\n \n"), "no items"));
  CHECK(Contains(Failure(std::string(100000, '[')), "items.jsonl:1: brackets are nested"));
}

TEST_CASE("task: files by name; an unknown name lists what is there") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "two.jsonl", "{\"prompt\":\"p\",\"answer\":\"a\"}\n");
  WriteFile(directory / "one.jsonl", "{\"prompt\":\"p\",\"answer\":\"a\"}\n");
  WriteFile(directory / "notes.txt", "");
  CHECK(ListTasks(directory.path()) == std::vector<std::string>{"one", "two"});
  CHECK(LoadTask(directory.path(), "two").name == "two");
  CHECK_THROWS_WITH_AS(LoadTask(directory.path(), "three"), doctest::Contains("one, two"), Error);
  CHECK_THROWS_AS(ListTasks(directory / "nowhere"), Error);
}

TEST_CASE("task: the embedded ones") {
  size_t choice_tasks = 0;
  const auto names = ListTasks(EmbeddedTasks());
  CHECK(names.size() == 6);
  for (const std::string& name : names) {
    const Task task = LoadTask(EmbeddedTasks(), name);
    CHECK(task.size() >= 300);
    choice_tasks += std::holds_alternative<std::vector<MultipleChoiceItem>>(task.items) ? 1 : 0;
  }
  CHECK(choice_tasks == 2);
}

}  // namespace
}  // namespace crossover::evals
