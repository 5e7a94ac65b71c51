#include "evals/answer_journal.h"

#include <memory>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/model/load_tokenizer.h"
#include "evals/ask.h"
#include "evals/capacity.h"
#include "evals/embedded.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("answer journal: what was kept is found again, to the bit") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "run.jsonl";
  const Answer answer{{-1.0 / 3, -2e-300}, {true, false}, "one\n\"two\" \xC3\xA9"};
  {
    AnswerJournal journal(path);
    journal.SetRun("model");
    CHECK(journal.Find(journal.Key("asked")) == nullptr);
    journal.Keep(journal.Key("asked"), answer);
    CHECK_THROWS_WITH_AS(AnswerJournal{path}, doctest::Contains("another run"), Error);
  }
  WriteFile(path, ReadFile(path) + "{\"generated\":\"cut o");  // as a kill leaves it
  AnswerJournal journal(path);
  journal.SetRun("model");
  const Answer* found = journal.Find(journal.Key("asked"));
  REQUIRE(found != nullptr);
  CHECK(found->log_likelihood == answer.log_likelihood);
  CHECK(found->greedy == answer.greedy);
  CHECK(found->generated == answer.generated);
  CHECK(journal.Find(journal.Key("asked otherwise")) == nullptr);
  journal.SetRun("another model");
  CHECK(journal.Find(journal.Key("asked")) == nullptr);
}

TEST_CASE("answer journal: another's file is refused and left as it is") {
  const test::TemporaryDirectory directory;
  for (const char* text : {"no answer\n", "{\"a\":1}\n{\"generated\":", "GGUF and more", "{}\n"}) {
    CAPTURE(text);
    WriteFile(directory / "file", text);
    CHECK_THROWS_WITH_AS(AnswerJournal(directory / "file"), doctest::Contains("file:1: expected"),
                         Error);
    CHECK(ReadFile(directory / "file") == text);
  }
}

// Half of the answers from the journal, the other half from the model: the same as all from it.
TEST_CASE("answer journal: only what is missing is asked") {
  const auto model = engine::Model::Load(EmbeddedModel("xs"));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  engine::Engine engine(model, EvaluationEngineOptions({}, model->config()));
  std::vector<GenerationRequest> prompts;
  for (const char* text : {"Once upon", "The king", "59 + 42 =", "She said"}) {
    prompts.push_back({text, {"\n"}, 12});
  }
  const auto expected = AnswerPrompts(engine, *tokenizer, prompts, nullptr, {});
  const test::TemporaryDirectory directory;
  AnswerJournal journal(directory / "run.jsonl");
  const std::vector<GenerationRequest> half = {prompts[3], prompts[1]};
  CHECK(AnswerPrompts(engine, *tokenizer, half, &journal, {}).resumed == 0);
  size_t last = 0;
  const ScoreOptions options{.progress = [&](size_t done, size_t total) {
    CHECK(total == 4);
    last = done;
  }};
  const auto resumed = AnswerPrompts(engine, *tokenizer, prompts, &journal, options);
  CHECK(resumed.resumed == 2);
  CHECK(last == 4);
  for (size_t i = 0; i < prompts.size(); ++i) {
    CHECK(resumed.answers[i].generated == expected.answers[i].generated);
  }
  CHECK(AnswerPrompts(engine, *tokenizer, prompts, &journal, {}).resumed == 4);
}

}  // namespace
}  // namespace crossover::evals
