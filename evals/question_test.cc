// Prompts and choice boundaries of the shipped tasks, checked by hand on items made up in the
// layout of each data set.
#include "evals/question.h"

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "evals/shipped_tasks.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using Texts = std::vector<std::string>;

// A data directory with the files of one test.
class Data {
 public:
  void Write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((directory_ / file).parent_path());
    WriteFile(directory_ / file, text);
  }
  QuestionSet LoadIn(const std::string& name, const PromptStyle& style) const {
    const auto task = FindTaskFile(name);
    REQUIRE(task.has_value());
    return LoadQuestions(*task, task->members[0], directory_.path(), 0, style);
  }
  QuestionSet Load(const std::string& name, size_t fewshot = 0, size_t limit = 0) const {
    const auto task = FindTaskFile(name);
    REQUIRE(task.has_value());
    return LoadQuestions(*task, task->members[0], directory_.path(), limit, {.fewshot = fewshot});
  }
  std::string Failure(const std::string& name, size_t fewshot = 0) const {
    try {
      Load(name, fewshot);
    } catch (const Error& error) {
      const std::string what = error.what();
      CHECK(what.find('\n') == std::string::npos);
      const std::string root = (directory_ / "").string();
      return what.starts_with(root) ? what.substr(root.size()) : what;
    }
    return "accepted";
  }

 private:
  test::TemporaryDirectory directory_;
};

const char* const kArcItem =
    R"({"id":"1","question":{"stem":"What is wet?","choices":[{"text":"Sand","label":"A"},)"
    R"({"text":"Water","label":"B"},{"text":"Dust","label":"C"}]},"answerKey":"B"})";

std::string ArcItemWith(const std::string& to_replace, const std::string& with) {
  std::string item = kArcItem;
  item.replace(item.find(to_replace), to_replace.size(), with);
  return item;
}

TEST_CASE("question: arc") {
  const Data data;
  data.Write("arc/ARC-Easy-Test.jsonl", std::string(kArcItem) + "\n");
  const QuestionSet set = data.Load("arc_easy");
  REQUIRE(set.questions.size() == 1);
  const Question& question = set.questions[0];
  CHECK(question.prompts == Texts{"Question: What is wet?\nAnswer:"});
  CHECK(question.choices == Texts{"Sand", "Water", "Dust"});
  CHECK(question.answer() == 1);
  CHECK(FindTaskFile("arc_easy")->delimiter == " ");
}

TEST_CASE("question: a sampled example is answered and ends with a blank line") {
  const Data data;
  data.Write("arc/ARC-Challenge-Test.jsonl", kArcItem);
  data.Write("arc/ARC-Challenge-Train.jsonl", kArcItem);
  CHECK(data.Load("arc_challenge", 1).questions[0].prompt(0) ==
        "Question: What is wet?\nAnswer: Water\n\nQuestion: What is wet?\nAnswer:");
}

TEST_CASE("question: hellaswag, as published and merged into six lines") {
  const Data data;
  data.Write(
      "hellaswag/hellaswag_val.jsonl",
      R"({"ind":1,"activity_label":"Baking","ctx_a":"A man bakes.","ctx_b":"he Then",)"
      R"("ctx":"A man bakes. he Then","endings":["eats [step] it.","runs.","sits.","sings."],)"
      R"("label":3})");
  const Question published = data.Load("hellaswag").questions[0];
  CHECK(published.prompts == Texts{"Baking: A man bakes. He then"});
  CHECK(published.choices == Texts{"eats it.", "runs.", "sits.", "sings."});
  CHECK(published.answer() == 3);

  const Data merged;
  merged.Write("hellaswag/hellaswag_val_full.txt",
               "Baking: A man bakes. he Then\n3\neats [step] it.\nruns.\nsits.\nsings.\n");
  const Question question = merged.Load("hellaswag").questions[0];
  CHECK(question.prompts == published.prompts);
  CHECK(question.choices == published.choices);
  CHECK(question.answer() == 3);
}

TEST_CASE("question: piqa") {
  const Data data;
  data.Write("piqa/valid.jsonl", R"({"goal":"Dry a cup","sol1":"Use a towel","sol2":"Use soup"})");
  data.Write("piqa/valid-labels.lst", "0\n");
  const Question question = data.Load("piqa").questions[0];
  CHECK(question.prompts == Texts{"Question: Dry a cup\nAnswer:"});
  CHECK(question.choices == Texts{"Use a towel", "Use soup"});
  CHECK(question.answer() == 0);
}

TEST_CASE("question: winogrande scores the same ending after either option") {
  const Data data;
  const std::string item =
      R"({"sentence":"Ann called Eve because _ was late.","option1":"Ann","option2":"Eve",)"
      R"("answer":"2"})";
  data.Write("winogrande/dev.jsonl", item);
  data.Write("winogrande/train_xl.jsonl", item);
  const Question question = data.Load("winogrande").questions[0];
  CHECK(question.prompts == Texts{"Ann called Eve because Ann", "Ann called Eve because Eve"});
  CHECK(question.choices == Texts{"was late."});
  CHECK(question.size() == 2);
  CHECK(question.answer() == 1);
  CHECK(data.Load("winogrande", 1).questions[0].prompt(0) ==
        "Ann called Eve because Eve was late.\n\nAnn called Eve because Ann");
}

TEST_CASE("question: mmlu shows the subject and the first examples") {
  const Data data;
  data.Write("mmlu/test/high_school_physics_test.csv", "\" What, \"\"now\"\"?\",1,2,3,4,C\n");
  data.Write("mmlu/dev/high_school_physics_dev.csv",
             "One?,a,b,c,d,A\nTwo?,e,f,g,h,D\nNo?,i,j,k,l,B");
  const QuestionSet set = data.Load("mmlu_high_school_physics", 2);
  CHECK(set.name == "mmlu_high_school_physics");
  CHECK(set.group == "stem");
  CHECK(
      set.questions[0].prompts ==
      Texts{"The following are multiple choice questions (with answers) about high school "
            "physics.\n\nOne?\nA. a\nB. b\nC. c\nD. d\nAnswer: A\n\nTwo?\nA. e\nB. f\nC. g\nD. h\n"
            "Answer: D\n\nWhat, \"now\"?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"});
  CHECK(set.questions[0].choices == Texts{"A", "B", "C", "D"});
  CHECK(set.questions[0].answer() == 2);
}

TEST_CASE("question: mmlu has 57 subjects in four fields") {
  CHECK(FindTaskFile("mmlu")->members.size() == 57);
  CHECK(FindTaskFile("mmlu_stem")->members.size() == 19);
  CHECK(FindTaskFile("mmlu_humanities")->members.size() == 13);
  CHECK(FindTaskFile("mmlu_social_sciences")->members.size() == 12);
  CHECK(FindTaskFile("mmlu_other")->members.size() == 13);
  CHECK(FindTaskFile("mmlu_anatomy")->members.size() == 1);
  CHECK_FALSE(FindTaskFile("mmlu_alchemy").has_value());
  CHECK_FALSE(FindTaskFile("mm").has_value());
}

TEST_CASE("question: truthfulqa, one right answer or several") {
  const Data data;
  data.Write("truthfulqa/mc_task.json",
             R"([{"question":"Is it so?","mc1_targets":{"No.":1,"Yes.":0},)"
             R"("mc2_targets":{"No.":1,"It is not.":1,"Yes.":0}}])");
  const Question one = data.Load("truthfulqa_mc1").questions[0];
  CHECK(one.prompt(0).starts_with("Q: What is human life expectancy in the United States?\nA: "));
  CHECK(one.prompt(0).ends_with("held in Barcelona, Spain.\n\nQ: Is it so?\nA:"));
  CHECK(one.choices == Texts{"No.", "Yes."});
  CHECK(one.answer() == 0);
  const Question several = data.Load("truthfulqa_mc2").questions[0];
  CHECK(several.choices == Texts{"No.", "It is not.", "Yes."});
  CHECK(several.right == std::vector<bool>{true, true, false});
  CHECK(data.Failure("truthfulqa_mc1", 2) ==
        "truthfulqa_mc1: the task has no few-shot examples; leave out --fewshot");
}

TEST_CASE("question: lambada; an example is never the item itself") {
  const Data data;
  data.Write("lambada/lambada_test.jsonl",
             "{\"text\":\"one  two three\"}\n{\"text\":\"four five\"}\n");
  const QuestionSet set = data.Load("lambada_openai", 1);
  CHECK(set.questions[0].prompts == Texts{"four five\n\none  two"});
  CHECK(set.questions[0].choices == Texts{"three"});
  CHECK(set.questions[1].prompts == Texts{"one  two three\n\nfour"});
  CHECK(data.Failure("lambada_openai", 2) ==
        "lambada_openai: 2 few-shot examples asked for, but there are only 1");
}

TEST_CASE("question: boolq and openbookqa") {
  const Data data;
  data.Write("boolq/dev.jsonl",
             R"({"question":"is it","title":"T","answer":true,"passage":"It is."})");
  const Question yes_no = data.Load("boolq").questions[0];
  CHECK(yes_no.prompts == Texts{"It is.\nQuestion: is it?\nAnswer:"});
  CHECK(yes_no.choices == Texts{"no", "yes"});
  CHECK(yes_no.answer() == 1);
  data.Write("openbookqa/test.jsonl", kArcItem);
  CHECK(data.Load("openbookqa").questions[0].prompts == Texts{"What is wet?"});
}

// A template as plain as can be: [role:content] and then the assistant's turn.
std::string Bracketed(std::span<const tokenizer::ChatMessage> messages) {
  std::string text;
  for (const tokenizer::ChatMessage& message : messages) {
    text += "[" + message.role + ":" + message.content + "]";
  }
  return text + "[assistant:";
}

TEST_CASE("question: a chat template around description, examples and the item") {
  const Data data;
  data.Write("mmlu/test/anatomy_test.csv", "Q?,1,2,3,4,C\n");
  data.Write("mmlu/dev/anatomy_dev.csv", "One?,a,b,c,d,A\n");
  const std::string about =
      "The following are multiple choice questions (with answers) about anatomy.\n\n";
  const std::string one = "One?\nA. a\nB. b\nC. c\nD. d\nAnswer:";
  const std::string item = "Q?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:";
  const auto ask = [&](const PromptStyle& style) {
    return data.LoadIn("mmlu_anatomy", style).questions[0].prompt(0);
  };
  CHECK(ask({.fewshot = 1, .chat = Bracketed}) ==
        "[system:" + about + "][user:" + one + " A\n\n" + item + "][assistant:");
  CHECK(ask({.fewshot = 1, .chat = Bracketed, .multiturn = true}) ==
        "[system:" + about + "][user:" + one + "][assistant:A][user:" + item + "][assistant:");
  CHECK(ask({.fewshot = 0, .system = "Be brief.", .chat = Bracketed}) ==
        "[system:Be brief.\n\n" + about + "][user:" + item + "][assistant:");
  CHECK(ask({.fewshot = 0, .system = "Be brief."}) == "Be brief.\n\n" + about + item);
}

TEST_CASE("question: in a chat winogrande's options begin the assistant's turn") {
  const Data data;
  data.Write("winogrande/dev.jsonl",
             R"({"sentence":"Ann saw _ there.","option1":"Eve","option2":"Bo","answer":"1"})");
  CHECK(data.LoadIn("winogrande", {.system = "S", .chat = Bracketed}).questions[0].prompts ==
        Texts{"[system:S][assistant:Ann saw Eve", "[system:S][assistant:Ann saw Bo"});
}

TEST_CASE("question: gsm8k with an answered example") {
  const Data data;
  data.Write("gsm8k/test.jsonl", R"({"question":"Two and two?","answer":"2+2=4\n#### 4"})");
  data.Write("gsm8k/train.jsonl", R"({"question":"One?","answer":"#### 1"})");
  const Question question = data.Load("gsm8k", 1).questions[0];
  CHECK(question.prompts ==
        Texts{"Question: One?\nAnswer: #### 1\n\nQuestion: Two and two?\nAnswer:"});
  CHECK(question.choices == Texts{"2+2=4\n#### 4"});
  data.Write("gsm8k/test.jsonl", R"({"question":"Two and two?","solution":"4"})");
  CHECK(data.Failure("gsm8k") == "gsm8k/test.jsonl:1: expected a field \"answer\"");
}

TEST_CASE("question: humaneval's prompt is as it is, its tests call the function") {
  const Data data;
  data.Write(
      "humaneval/HumanEval.jsonl",
      R"({"task_id":"HumanEval/0","prompt":"def f():\n","entry_point":"f",)"
      R"("canonical_solution":"    return 1\n","test":"\ndef check(c):\n    assert c()\n"})");
  const TaskFile task = *FindTaskFile("humaneval");
  const Question question = data.Load("humaneval").questions[0];
  CHECK(question.prompts == Texts{"def f():\n"});
  CHECK(question.choices == Texts{"\ndef check(c):\n    assert c()\n\ncheck(f)"});
  Record fields = question.fields;
  fields["generated"] = "    return 2\n";
  CHECK(task.generate.program.Render(fields) ==
        "def f():\n    return 2\n\n\ndef check(c):\n    assert c()\n\ncheck(f)");
}

TEST_CASE("question: wikitext is read as ordinary text and counted as it stands") {
  const Data data;
  data.Write("wikitext2/wiki.test.raw", " \n = A = \n One , two @-@ three . \n = B = \n x \n");
  const QuestionSet set = data.Load("wikitext");
  REQUIRE(set.questions.size() == 2);
  CHECK(set.questions[0].prompts == Texts{""});
  CHECK(set.questions[0].choices == Texts{" = A =\nOne, two-three. "});
  CHECK(FindTaskFile("wikitext")->counted.Render(set.questions[0].fields) ==
        " = A = \n One , two @-@ three . ");
}

TEST_CASE("question: what is off in the data is said with file and line") {
  const Data data;
  CHECK(data.Failure("boolq").find("has no boolq/dev.jsonl nor boolq/val.jsonl") !=
        std::string::npos);
  const std::string file = "arc/ARC-Easy-Test.jsonl";
  data.Write(file, "");
  CHECK(data.Failure("arc_easy") == file + ": is empty: it was cut short; fetch it again");
  data.Write(file, std::string(kArcItem) + "\n{\"id\":\"2\"}");
  CHECK(data.Failure("arc_easy") == file + ":2: expected a field \"question.stem\"");
  data.Write(file, ArcItemWith("answerKey\":\"B", "answerKey\":\"E"));
  CHECK(data.Failure("arc_easy") == file + ":1: the answer is \"E\"; expected one of A, B, C");
  data.Write(file, ArcItemWith("Sand", " "));
  CHECK(data.Failure("arc_easy") ==
        file + ":1: expected every choice to be a text that is not blank");
  data.Write("winogrande/dev.jsonl",
             R"({"sentence":"No gap.","option1":"a","option2":"b","answer":"1"})");
  CHECK(data.Failure("winogrande") ==
        "winogrande/dev.jsonl:1: expected \"_\" in the text of the field \"sentence\"");
}

// Where the distributed files are there: they are read whole and have the published counts.
TEST_CASE("question: published item counts") {
  const auto data = test::SharedFile("data/evals");
  if (!data) {
    test::Skip("no data sets here");
    return;
  }
  for (const ShippedTask& shipped : ShippedTasks()) {
    CAPTURE(shipped.name);
    const TaskFile task = *FindTaskFile(std::string(shipped.name));
    REQUIRE(task.published_count > 0);
    size_t count = 0;
    try {
      for (const TaskMember& member : task.members) {
        count += LoadQuestions(task, member, *data, 0,
                               {.fewshot = task.order == ExampleOrder::kFirst ? 5u : task.fewshot})
                     .available;
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) continue;
      throw;
    }
    CHECK(count == task.published_count);
  }
}

}  // namespace
}  // namespace crossover::evals
