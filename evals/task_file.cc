#include "evals/task_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "evals/answer_reader.h"
#include "evals/shipped_tasks.h"

namespace crossover::evals {
namespace {

// Reads one object of a task file; errors name the file and the key.
class Reader {
 public:
  Reader(const Record& json, std::string where, std::initializer_list<std::string_view> known)
      : json_(json), where_(std::move(where)) {
    if (!json.is_object()) Fail("expected an object");
    for (const auto& [key, value] : json.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        Fail(fmt::format("no key \"{}\"; there are: {}", key, fmt::join(known, ", ")));
      }
    }
  }

  [[noreturn]] void Fail(std::string_view what) const {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {}", where_, what));
  }
  bool Has(const char* key) const { return json_.contains(key); }
  const Record& Get(const char* key) const {
    const auto it = json_.find(key);
    if (it == json_.end()) Fail(fmt::format("expected a key \"{}\"", key));
    return *it;
  }
  std::string Text(const char* key) const {
    const Record& value = Get(key);
    if (!value.is_string()) Fail(fmt::format("expected a text as \"{}\"", key));
    return value.get<std::string>();
  }
  std::string Text(const char* key, const char* otherwise) const {
    return Has(key) ? Text(key) : otherwise;
  }
  bool Flag(const char* key) const {
    if (!Has(key)) return false;
    if (!Get(key).is_boolean()) Fail(fmt::format("expected true or false as \"{}\"", key));
    return Get(key).get<bool>();
  }
  size_t Count(const char* key, size_t otherwise) const {
    if (!Has(key)) return otherwise;
    if (!Get(key).is_number_unsigned()) Fail(fmt::format("expected a number as \"{}\"", key));
    return Get(key).get<size_t>();
  }
  std::vector<std::string> Texts(const char* key) const {
    const Record& value = Get(key);
    std::vector<std::string> texts;
    for (const Record& text : value.is_array() ? value : Record::array()) {
      if (text.is_string()) texts.push_back(text.get<std::string>());
    }
    if (texts.empty() || texts.size() != value.size()) {
      Fail(fmt::format("expected an array of texts as \"{}\"", key));
    }
    return texts;
  }
  /// What parse(value) gives, its complaints with the key.
  template <class Parse>
  auto Parsed(const char* key, const Parse& parse) const {
    try {
      return parse(Get(key));
    } catch (const Error& error) {
      Fail(fmt::format("\"{}\": {}", key, error.what()));
    }
  }
  Template TemplateAt(const char* key) const {
    const std::string text = Text(key);
    return Parsed(key, [&](const Record&) { return Template::Parse(text); });
  }
  /// A regular expression, tried out.
  std::string Pattern(const char* key) const {
    const std::string pattern = Text(key);
    return Parsed(key, [&](const Record&) { return CheckedPattern(pattern); });
  }
  TemplateList ListAt(const char* key) const { return Parsed(key, TemplateList::Parse); }

  /// The value among `names` that the text at `key` spells.
  template <class Value, size_t kCount>
  Value Among(const std::string& text, const char* key,
              const std::array<std::pair<std::string_view, Value>, kCount>& names) const {
    std::string known;
    for (const auto& [name, value] : names) {
      if (name == text) return value;
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
    }
    Fail(fmt::format("\"{}\" is no \"{}\"; there are: {}", text, key, known));
  }

 private:
  const Record& json_;
  std::string where_;
};

using Layout = DataFormat::Layout;
constexpr std::array kLayouts = {
    std::pair<std::string_view, Layout>{"jsonl", Layout::kJsonLines},
    std::pair<std::string_view, Layout>{"json", Layout::kJsonArray},
    std::pair<std::string_view, Layout>{"csv", Layout::kCsv},
    std::pair<std::string_view, Layout>{"lines", Layout::kLines},
    std::pair<std::string_view, Layout>{"wikitext", Layout::kWikitext},
};
constexpr std::array kOrders = {
    std::pair<std::string_view, ExampleOrder>{"sample", ExampleOrder::kSample},
    std::pair<std::string_view, ExampleOrder>{"first", ExampleOrder::kFirst},
};

DataSource ParseSource(const Record& json, const std::string& where) {
  const Reader reader(json, where, {"file", "format", "columns", "beside", "define"});
  DataSource source;
  source.file = reader.Text("file");
  source.format.layout = reader.Among(reader.Text("format"), "format", kLayouts);
  const bool wants_columns =
      source.format.layout == Layout::kCsv || source.format.layout == Layout::kLines;
  if (wants_columns) source.format.columns = reader.Texts("columns");
  if (reader.Has("beside")) {
    const Reader beside(reader.Get("beside"), where + ": \"beside\"", {"field", "file"});
    source.format.beside.emplace_back(beside.Text("field"), beside.Text("file"));
  }
  if (reader.Has("define")) {
    const Record& define = reader.Get("define");
    if (!define.is_object()) reader.Fail("expected an object of templates as \"define\"");
    for (const auto& entry : define.items()) {
      const Record& text = entry.value();
      if (!text.is_string()) reader.Fail("expected an object of templates as \"define\"");
      source.define.emplace_back(entry.key(), reader.Parsed("define", [&](const Record&) {
        return Template::Parse(text.get_ref<const std::string&>());
      }));
    }
  }
  return source;
}

std::vector<DataSource> ParseSources(const Reader& reader, const char* key,
                                     std::string_view where) {
  const Record& json = reader.Get(key);
  std::vector<DataSource> sources;
  for (const Record& source : json.is_array() ? json : Record::array()) {
    sources.push_back(ParseSource(source, fmt::format("{}: \"{}\"", where, key)));
  }
  if (sources.empty()) reader.Fail(fmt::format("expected an array of files as \"{}\"", key));
  return sources;
}

std::vector<TaskMember> ParseMembers(const Reader& reader) {
  if (!reader.Has("members")) return {TaskMember{}};
  std::vector<TaskMember> members;
  const Record& groups = reader.Get("members");
  if (!groups.is_object()) reader.Fail("expected {group: [names]} as \"members\"");
  for (const auto& [group, names] : groups.items()) {
    for (const Record& name : names.is_array() ? names : Record::array()) {
      if (!name.is_string()) reader.Fail("expected texts as names of \"members\"");
      members.push_back({name.get<std::string>(), group});
    }
  }
  if (members.empty()) reader.Fail("expected {group: [names]} as \"members\"");
  return members;
}

void ParsePrompt(const Reader& reader, TaskFile& task) {
  if (!reader.Has("prompt") && !reader.Has("prompts") && reader.Has("counted")) {
    task.prompts = TemplateList::Parse(Record::array({""}));
    return;
  }
  if (reader.Has("prompt") == reader.Has("prompts")) {
    reader.Fail("expected either \"prompt\" (for all choices) or \"prompts\" (one a choice)");
  }
  if (reader.Has("prompts")) {
    task.prompts = reader.ListAt("prompts");
  } else {
    const Record one = Record::array({reader.Text("prompt")});
    task.prompts = reader.Parsed("prompt", [&](const Record&) { return TemplateList::Parse(one); });
  }
}

void ParseAnswer(const Reader& reader, const std::string& where, TaskFile& task) {
  if (!reader.Has("answer")) return;
  const Reader answer(reader.Get("answer"), where + ": \"answer\"", {"is", "among", "mass"});
  task.answer = answer.TemplateAt("is");
  task.labels = answer.ListAt("among");
  task.mass = answer.Flag("mass");
}

Extraction ParseExtraction(const Record& json, const std::string& name, const std::string& where) {
  const Reader reader(json, fmt::format("{}: \"extract\": \"{}\"", where, name), {"regex", "last"});
  return {name, reader.Has("regex") ? reader.Pattern("regex") : "", reader.Flag("last")};
}

GenerateSpec ParseGenerate(const Record& json, const std::string& where) {
  const Reader reader(json, where, {"until", "max_tokens", "extract", "ignore", "program"});
  GenerateSpec spec;
  spec.until = reader.Texts("until");
  for (const std::string& text : spec.until) {
    if (text.empty()) reader.Fail("expected no empty text in \"until\"");
  }
  spec.max_tokens = reader.Count("max_tokens", spec.max_tokens);
  if (spec.max_tokens == 0) reader.Fail("expected at least 1 as \"max_tokens\"");
  if (reader.Has("extract")) {
    const Record& extract = reader.Get("extract");
    if (!extract.is_object() || extract.empty()) {
      reader.Fail("expected {name: {\"regex\": …}} as \"extract\"");
    }
    for (const auto& [name, how] : extract.items()) {
      spec.extractions.push_back(ParseExtraction(how, name, where));
    }
  } else {
    spec.extractions.push_back({"none", ""});
  }
  if (reader.Has("ignore")) {
    const Reader ignore(reader.Get("ignore"), where + ": \"ignore\"", {"case", "regexes"});
    spec.ignore_case = ignore.Flag("case");
    if (ignore.Has("regexes")) {
      for (const std::string& pattern : ignore.Texts("regexes")) {
        spec.ignored.push_back(
            ignore.Parsed("regexes", [&](const Record&) { return CheckedPattern(pattern); }));
      }
    }
  }
  if (reader.Has("program")) spec.program = reader.TemplateAt("program");
  return spec;
}

// What is asked: choices, or a text to go on with, or a text to be read whole.
void ParseRequest(const Reader& reader, const std::string& where, TaskFile& task) {
  if (reader.Has("choices") == reader.Has("target")) {
    reader.Fail("expected either \"choices\" or one \"target\"");
  }
  const bool rolling = reader.Has("counted");
  if (reader.Has("generate") && rolling) {
    reader.Fail("\"generate\" and \"counted\" do not go together");
  }
  if (reader.Has("choices")) {
    if (reader.Has("generate") || rolling) reader.Fail("expected a \"target\", not \"choices\"");
    task.choices = reader.ListAt("choices");
    return;
  }
  const Record one = Record::array({reader.Text("target")});
  task.choices = reader.Parsed("target", [&](const Record&) { return TemplateList::Parse(one); });
  if (rolling) {
    task.kind = RequestKind::kRolling;
    task.counted = reader.TemplateAt("counted");
  } else {
    task.kind = RequestKind::kGenerate;
    task.generate = ParseGenerate(reader.Get("generate"), where + ": \"generate\"");
  }
}

bool Fits(HarnessMetric metric, const TaskFile& task) {
  switch (metric) {
    case HarnessMetric::kAcc:
      return task.kind == RequestKind::kChoices;
    case HarnessMetric::kAccNorm:
    case HarnessMetric::kAccBytes:
      return task.kind == RequestKind::kChoices && !task.labels.empty() && !task.mass;
    case HarnessMetric::kPerplexity:
      return task.kind == RequestKind::kChoices && task.labels.empty();
    case HarnessMetric::kExactMatch:
      return task.kind == RequestKind::kGenerate;
    case HarnessMetric::kPassAt1:
      return task.kind == RequestKind::kGenerate && !task.generate.program.empty();
    case HarnessMetric::kWordPerplexity:
    case HarnessMetric::kBytePerplexity:
    case HarnessMetric::kBitsPerByte:
      return task.kind == RequestKind::kRolling;
  }
  return false;
}

void ParseMetrics(const Reader& reader, TaskFile& task) {
  for (const std::string& name : reader.Texts("metrics")) {
    task.metrics.push_back(reader.Among(name, "metrics", kHarnessMetrics));
    if (!Fits(task.metrics.back(), task)) {
      reader.Fail(fmt::format("the metric \"{}\" does not go with this kind of task", name));
    }
  }
}

TaskFile Parse(const Record& json, const std::string& where) {
  const Reader reader(json, where,
                      {"task", "about", "version", "items", "examples", "order", "fewshot",
                       "members", "description", "prompt", "prompts", "delimiter", "choices",
                       "target", "generate", "counted", "answer", "metrics", "count"});
  TaskFile task;
  task.name = reader.Text("task");
  task.version = reader.Text("version", "");
  task.items = ParseSources(reader, "items", where);
  if (reader.Has("examples")) {
    task.examples_are_items = reader.Get("examples") == "items";
    task.examples = task.examples_are_items ? task.items : ParseSources(reader, "examples", where);
  }
  task.order = reader.Among(reader.Text("order", "sample"), "order", kOrders);
  task.fewshot = reader.Count("fewshot", 0);
  task.members = ParseMembers(reader);
  if (reader.Has("description")) task.description = reader.TemplateAt("description");
  ParsePrompt(reader, task);
  ParseRequest(reader, where, task);
  task.delimiter = reader.Text("delimiter", " ");
  ParseAnswer(reader, where, task);
  ParseMetrics(reader, task);
  task.published_count = reader.Count("count", 0);
  return task;
}

// The task with only the members that `matches` takes; nothing if there are none.
template <class Matches>
std::optional<TaskFile> Narrowed(TaskFile task, const Matches& matches) {
  std::erase_if(task.members, [&](const TaskMember& member) { return !matches(member); });
  if (task.members.empty()) return std::nullopt;
  task.published_count = 0;
  return task;
}

std::optional<TaskFile> Part(const TaskFile& task, std::string_view part) {
  auto group = Narrowed(task, [&](const TaskMember& member) { return member.group == part; });
  if (group) return group;
  return Narrowed(task, [&](const TaskMember& member) { return member.name == part; });
}

}  // namespace

std::vector<TaskFile::Column> TaskFile::columns() const {
  std::vector<Column> columns;
  for (const HarnessMetric metric : metrics) {
    const size_t count = std::max<size_t>(generate.extractions.size(), 1);
    for (size_t k = 0; k < count; ++k) columns.push_back({metric, k});
  }
  return columns;
}

TaskFile ParseTaskFile(std::string_view json, std::string_view source) {
  const JsonSource described{.name = std::string(source),
                             .code = ErrorCode::kInvalidArgument,
                             .remedy = "expected a task as docs/tasks.md describes it"};
  return Parse(ParseOrderedJson(json, described), described.name);
}

std::optional<TaskFile> FindTaskFile(const std::string& name) {
  if (name.ends_with(".json")) return ParseTaskFile(ReadFile(name), name);
  for (const ShippedTask& shipped : ShippedTasks()) {
    const std::string prefix = fmt::format("{}_", shipped.name);
    if (name != shipped.name && !name.starts_with(prefix)) continue;
    TaskFile task = ParseTaskFile(shipped.json, fmt::format("shipped task {}", shipped.name));
    if (name == shipped.name) return task;
    auto part = Part(task, std::string_view(name).substr(prefix.size()));
    if (part) return part;
  }
  return std::nullopt;
}

}  // namespace crossover::evals
