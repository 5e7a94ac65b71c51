#include "evals/harness.h"

#include <cmath>
#include <vector>

#include "engine/model/load_tokenizer.h"
#include "evals/capacity.h"
#include "evals/embedded.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TaskFile ChoiceTask() {
  TaskFile task;
  task.name = std::string("t");
  task.delimiter = std::string(" ");
  task.labels = TemplateList::Parse(Record::parse(R"(["0", "1"])"));
  task.metrics = {HarnessMetric::kAcc, HarnessMetric::kAccNorm, HarnessMetric::kAccBytes};
  task.members = {TaskMember{}};
  return task;
}

TEST_CASE("harness: acc by sums, acc_norm by characters, acc_bytes by bytes") {
  // Sums: the first wins. Per character -2/2 against -3.5/4: the second. Per byte -2/6 against
  // -3.5/4: the first.
  const Question question{{"p"}, {"語語", "four"}, {true, false}};
  const auto outcome =
      JudgeQuestion(ChoiceTask(), question, {-2.0, -3.5}, std::vector<bool>{false, false});
  CHECK(outcome.values == std::vector<double>{1, 0, 1});
}

TEST_CASE("harness: the first of equals wins") {
  const Question question{{"p"}, {"ab", "cd"}, {false, true}};
  CHECK(JudgeQuestion(ChoiceTask(), question, {-1.0, -1.0}, {false, false}).values ==
        std::vector<double>{0, 0, 0});
}

TEST_CASE("harness: the share of right answers survives tiny probabilities") {
  TaskFile task = ChoiceTask();
  task.mass = true;
  task.metrics = {HarnessMetric::kAcc};
  const Question question{{"p"}, {"a", "b", "c"}, {true, false, true}};
  const double ln2 = std::log(2.0);
  const auto outcome =
      JudgeQuestion(task, question, {-2000 - ln2, -2000, -2000 - ln2}, std::vector<bool>(3, false));
  CHECK(outcome.values[0] == doctest::Approx(0.5).epsilon(1e-12));
}

QuestionSetResult Hits(const char* name, const char* group, std::vector<double> values) {
  QuestionSetResult set{name, group, {}, 0};
  for (const double value : values) set.outcomes.push_back({{}, {value}});
  return set;
}

TEST_CASE("harness: members, groups and all with pooled errors") {
  TaskFile task = ChoiceTask();
  task.metrics = {HarnessMetric::kAcc};
  const std::vector<QuestionSetResult> sets = {
      Hits("t_a", "g", {1, 0}), Hits("t_b", "g", {1, 1, 0, 0}), Hits("t_c", "h", {0})};
  const auto results = SummariseQuestions(task, sets);
  REQUIRE(results.size() == 5);
  CHECK(results[0].value == doctest::Approx(0.5));
  CHECK(results[0].standard_error == doctest::Approx(0.5));  // sqrt(0.25 / 1)
  CHECK(results[1].standard_error == doctest::Approx(std::sqrt(0.25 / 3)));
  CHECK(std::isnan(results[2].standard_error));
  CHECK(results[3].task == "t_g");
  CHECK(results[3].value == doctest::Approx(0.5));
  // (1 · 2 · 1/4 + 3 · 4 · 1/12) / (6 - 2) / 6
  CHECK(results[3].standard_error == doctest::Approx(std::sqrt(1.5 / 4 / 6)));
  CHECK(results[4].task == "t");
  CHECK(results[4].n == 7);
  CHECK(results[4].value == doctest::Approx(3.0 / 7));
}

TEST_CASE("harness: perplexity is exp of the mean, its error to first order") {
  TaskFile task = ChoiceTask();
  task.metrics = {HarnessMetric::kPerplexity};
  const auto results = SummariseQuestions(task, std::vector{Hits("t", "", {-1, -3})});
  CHECK_FALSE(results[0].is_proportion);
  CHECK(results[0].value == doctest::Approx(std::exp(2.0)));
  CHECK(results[0].standard_error == doctest::Approx(std::exp(2.0)));  // se of the mean: 1
}

// One prompt with two choices must score as two prompts with a choice each do, and greedy decoding
// must agree with the most probable of all one-token continuations.
TEST_CASE("harness: scores of a model") {
  const auto model = engine::Model::Load(EmbeddedModel("xs"));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  engine::Engine engine(model, EvaluationEngineOptions({}, model->config()));
  const TaskFile task = ChoiceTask();
  QuestionSet shared{"t", "", {{{"The capital of"}, {"the town", "a river"}, {true, false}}}, 1};
  QuestionSet apart{
      "t", "", {{{"The capital of", "The capital of"}, {"the town"}, {true, false}}}, 1};
  const auto one = EvaluateQuestions(engine, *tokenizer, task, shared, {}).outcomes[0];
  const auto two = EvaluateQuestions(engine, *tokenizer, task, apart, {}).outcomes[0];
  REQUIRE(one.log_likelihood.size() == 2);
  REQUIRE(two.log_likelihood.size() == 2);
  CHECK(one.log_likelihood[0] < 0);
  CHECK(one.log_likelihood[0] != one.log_likelihood[1]);
  CHECK(two.log_likelihood[0] == doctest::Approx(one.log_likelihood[0]).epsilon(1e-5));
  CHECK(two.log_likelihood[1] == doctest::Approx(one.log_likelihood[0]).epsilon(1e-5));
}

}  // namespace
}  // namespace crossover::evals
