#include "evals/question.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/counted.h"
#include "base/error.h"
#include "evals/example_sampler.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

Question MakeQuestion(const TaskFile& task, const Record& fields) {
  Question question;
  question.prompts = task.prompts.Render(fields);
  question.choices = task.choices.Render(fields);
  const auto fail = [](const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); };
  for (const std::string& choice : question.choices) {
    if (Trim(choice).empty()) fail("expected every choice to be a text that is not blank");
  }
  const size_t count = std::max(question.prompts.size(), question.choices.size());
  if (std::min(question.prompts.size(), question.choices.size()) != 1) {
    fail("expected one prompt for all choices or one choice for all prompts");
  }
  if (task.labels.empty()) {
    if (count != 1) fail("expected one choice, because the task names no answer");
    // What is needed after the model's answer must be there: now the line is known.
    if (task.kind == RequestKind::kRolling) (void)task.counted.Render(fields);
    if (!task.generate.program.empty()) {
      Record with_answer = fields;
      with_answer["generated"] = "";
      (void)task.generate.program.Render(with_answer);
    }
    question.right = {true};
    return question;
  }
  const std::vector<std::string> labels = task.labels.Render(fields);
  if (count < 2 || labels.size() != count) {
    fail(fmt::format("{} choices and {} labels; expected as many, at least two", count,
                     labels.size()));
  }
  const std::string answer = task.answer.Render(fields);
  for (const std::string& label : labels) question.right.push_back(label == answer);
  if (std::find(question.right.begin(), question.right.end(), true) == question.right.end()) {
    fail(fmt::format("the answer is \"{}\"; expected one of {}", answer, fmt::join(labels, ", ")));
  }
  return question;
}

Record Naming(const TaskMember& member) {
  Record fields = Record::object();
  fields["member"] = member.name;
  return fields;
}

// The first of the sources whose file is there, read.
std::vector<Question> ReadQuestions(const TaskFile& task, const std::vector<DataSource>& sources,
                                    const TaskMember& member,
                                    const std::filesystem::path& directory) {
  std::vector<std::string> missing;
  for (const DataSource& source : sources) {
    const std::string file = Template::Parse(source.file).Render(Naming(member));
    std::error_code ignored;
    if (!std::filesystem::exists(directory / file, ignored)) {
      missing.push_back(file);
      continue;
    }
    std::vector<Question> questions;
    for (LocatedRecord& record : ReadRecords(directory, file, source.format)) {
      try {
        if (!member.name.empty()) record.fields["member"] = member.name;
        for (const auto& [field, text] : source.define) {
          record.fields[field] = text.Render(record.fields);
        }
        questions.push_back(MakeQuestion(task, record.fields));
        questions.back().line = record.line;
        questions.back().fields = std::move(record.fields);
      } catch (const Error& error) {
        FailAt((directory / file).string(), record.line, error.what());
      }
    }
    return questions;
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("{}: {} has no {}; fetch the data set or name its place with --data",
                          task.name, directory.string(), fmt::join(missing, " nor ")));
}

// Says which examples stand before which item, item by item from the first on.
class ExampleChooser {
 public:
  ExampleChooser(const TaskFile& task, size_t examples, size_t count)
      : task_(task), examples_(examples), count_(count) {
    const size_t others = examples - (task.examples_are_items ? 1 : 0);
    if (count <= others) return;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: {} asked for, but there are only {}", task.name,
                            Counted(count, "few-shot example"), others));
  }

  std::vector<size_t> For(size_t item) {
    // As the harness does: one more than needed, and the item itself or else the last one dropped.
    const size_t drawn = count_ + (task_.examples_are_items ? 1 : 0);
    std::vector<size_t> chosen(drawn);
    if (task_.order == ExampleOrder::kSample) {
      chosen = random_.Sample(examples_, drawn);
    } else {
      std::iota(chosen.begin(), chosen.end(), size_t{0});
    }
    if (task_.examples_are_items) std::erase(chosen, item);
    chosen.resize(count_);
    return chosen;
  }

 private:
  const TaskFile& task_;
  size_t examples_;
  size_t count_;
  PythonRandom random_{kExampleSeed};
};

std::vector<AnsweredExample> AnsweredExamples(const TaskFile& task, const TaskMember& member,
                                              const std::filesystem::path& directory) {
  if (task.examples.empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: the task has no few-shot examples; leave out --fewshot", task.name));
  }
  std::vector<AnsweredExample> answered;
  for (const Question& question : ReadQuestions(task, task.examples, member, directory)) {
    const size_t k = question.answer();
    answered.push_back({question.prompt(k), question.choice(k)});
  }
  return answered;
}

}  // namespace

size_t Question::answer() const {
  return static_cast<size_t>(std::find(right.begin(), right.end(), true) - right.begin());
}

QuestionSet LoadQuestions(const TaskFile& task, const TaskMember& member,
                          const std::filesystem::path& directory, size_t limit,
                          const PromptStyle& style) {
  QuestionSet set;
  set.name = member.name.empty() ? task.name : fmt::format("{}_{}", task.name, member.name);
  set.group = member.group;
  set.fewshot = style.fewshot;
  set.questions = ReadQuestions(task, task.items, member, directory);
  set.available = set.questions.size();
  if (limit > 0 && limit < set.available) set.questions.resize(limit);
  if (task.kind == RequestKind::kRolling) return set;
  std::vector<AnsweredExample> examples;
  std::optional<ExampleChooser> chooser;
  if (style.fewshot > 0) {
    examples = AnsweredExamples(task, member, directory);
    chooser.emplace(task, examples.size(), style.fewshot);
  }
  const std::string description = task.description.Render(Naming(member));
  for (size_t i = 0; i < set.questions.size(); ++i) {
    std::vector<AnsweredExample> shown;
    if (chooser) {
      for (const size_t k : chooser->For(i)) shown.push_back(examples[k]);
    }
    auto& prompts = set.questions[i].prompts;
    for (std::string& prompt : prompts) {
      prompt = StyledPrompt(style, description, shown, task.delimiter, prompt, prompts.size() == 1);
    }
  }
  return set;
}

}  // namespace crossover::evals
