#include "evals/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file_kind.h"
#include "base/join_path.h"
#include "base/json.h"
#include "base/output_file.h"
#include "evals/data_file.h"

namespace crossover::evals {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kShapes =
    "{\"context\", \"choices\", \"answer\": index} or {\"prompt\", \"answer\"}";

// One line of a task file, with what an error message needs.
struct Line {
  std::string_view source;
  size_t number;
  Json json;

  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", source, number, what));
  }
  std::string String(const char* field) const {
    const auto it = json.find(field);
    if (it == json.end() || !it->is_string()) {
      Fail(fmt::format("expected a string \"{}\" in {}", field, kShapes));
    }
    return it->get<std::string>();
  }
};

Line ParseLine(std::string_view text, std::string_view source, size_t number) {
  const JsonSource described{.name = std::string(source),
                             .code = ErrorCode::kInvalidArgument,
                             .remedy = fmt::format("expected {}", kShapes),
                             .line = number};
  Line line{source, number, ParseJson(text, described)};
  if (!line.json.is_object()) line.Fail(fmt::format("expected an object {}", kShapes));
  return line;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r") == std::string_view::npos;
}

MultipleChoiceItem ParseMultipleChoice(const Line& line) {
  MultipleChoiceItem item;
  item.context = line.String("context");
  const auto choices = line.json.find("choices");
  if (choices == line.json.end() || !choices->is_array() || choices->size() < 2) {
    line.Fail("expected \"choices\": an array of at least two strings");
  }
  for (const Json& choice : *choices) {
    if (!choice.is_string() || IsBlank(choice.get_ref<const std::string&>())) {
      line.Fail("expected every choice to be a string that is not blank");
    }
    item.choices.push_back(choice.get<std::string>());
  }
  const auto answer = line.json.find("answer");
  const bool is_index = answer != line.json.end() && answer->is_number_unsigned();
  if (!is_index || answer->get<uint64_t>() >= item.choices.size()) {
    line.Fail(fmt::format("expected \"answer\": the index of a choice, 0 to {}",
                          item.choices.size() - 1));
  }
  item.answer = answer->get<size_t>();
  return item;
}

GenerationItem ParseGeneration(const Line& line) {
  GenerationItem item{line.String("prompt"), line.String("answer")};
  if (IsBlank(item.answer) || item.answer.find('\n') != std::string::npos) {
    line.Fail("expected \"answer\": one line that is not blank");
  }
  return item;
}

}  // namespace

size_t Task::size() const {
  return std::visit([](const auto& list) { return list.size(); }, items);
}

Task ParseTask(std::string_view name, std::string_view text, std::string_view source) {
  Task task;
  task.name = name;
  std::vector<MultipleChoiceItem> choices;
  std::vector<GenerationItem> generations;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view raw = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (IsBlank(raw)) continue;
    const Line line = ParseLine(raw, source, number);
    const bool is_choice = line.json.contains("choices");
    if (is_choice ? !generations.empty() : !choices.empty()) {
      line.Fail(fmt::format(
          "the shape differs from the lines before; expected one of {} throughout", kShapes));
    }
    if (is_choice) {
      choices.push_back(ParseMultipleChoice(line));
    } else {
      generations.push_back(ParseGeneration(line));
    }
  }
  if (choices.empty() && generations.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: no items; expected lines of {}", source, kShapes));
  }
  if (!choices.empty()) {
    task.items = std::move(choices);
  } else {
    task.items = std::move(generations);
  }
  return task;
}

Task LoadTask(const std::filesystem::path& directory, std::string_view name) {
  const std::filesystem::path path = JoinPath(directory, fmt::format("{}.jsonl", name));
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("no task \"{}\": {} is not a file; there are: {}", name, path.string(),
                            fmt::join(ListTasks(directory), ", ")));
  }
  const std::string text = ReadFile(path);
  CheckIsData(text, path.string());
  return ParseTask(name, text, path.string());
}

std::vector<std::string> ListTasks(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".jsonl") names.push_back(entry.path().stem().string());
  }
  if (error) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}: cannot list tasks: {}", directory.string(), error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace crossover::evals
