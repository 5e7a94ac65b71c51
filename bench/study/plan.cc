#include "bench/study/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <type_traits>
#include <utility>

#include "base/data_path.h"
#include "base/error.h"
#include "base/join_path.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/visible_text.h"
#include "bench/machine/system.h"
#include "bench/study/plan_recipe.h"
#include "engine/synth/synth_shapes.h"
#include "evals/embedded.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMostLayers = 10000;

/// A JSON object with its place in the plan, so that every complaint can say where.
class Node {
 public:
  Node(const json& value, const fs::path& source, std::string key)
      : value_(value), source_(source), key_(std::move(key)) {}

  const json& value() const { return value_; }
  const fs::path& source() const { return source_; }

  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}: {}", source_.string(), key_.empty() ? "plan" : key_, what));
  }

  void CheckKeys(std::initializer_list<std::string_view> known) const {
    if (!value_.is_object()) Fail("expected an object {…}");
    for (const auto& [name, unused] : value_.items()) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      Fail(fmt::format("unknown key '{}'; known: {}", name, fmt::join(known, ", ")));
    }
  }

  std::optional<Node> Find(std::string_view name) const {
    const auto it = value_.find(name);
    if (it == value_.end()) return std::nullopt;
    return Node(*it, source_, Path(name));
  }
  Node At(std::string_view name) const {
    if (const auto node = Find(name)) return *node;
    Fail(fmt::format("'{}' is missing", name));
  }
  std::vector<Node> Elements() const {
    if (!value_.is_array() || value_.empty()) Fail("expected a list with at least one element");
    std::vector<Node> nodes;
    for (size_t i = 0; i < value_.size(); ++i) {
      nodes.emplace_back(value_[i], source_, fmt::format("{}[{}]", key_, i));
    }
    return nodes;
  }

  std::string Text() const {
    if (!value_.is_string() || value_.get<std::string>().empty()) Fail("expected a text");
    return value_.get<std::string>();
  }
  /// A text that stands in tables, on pages and in names of files.
  std::string Name() const {
    const std::string text = Text();
    if (VisibleText(text) != text) {
      Fail(fmt::format("a name must be one line of visible characters, not '{}'", text));
    }
    return text;
  }
  size_t Count(size_t least) const {
    if (!value_.is_number_unsigned() || value_.get<size_t>() < least) {
      Fail(fmt::format("expected a whole number of at least {}", least));
    }
    return value_.get<size_t>();
  }
  bool Flag() const {
    if (!value_.is_boolean()) Fail("expected true or false");
    return value_.get<bool>();
  }
  /// "embedded:NAME" through `embedded`, else relative to the plan's folder; must exist.
  template <class Embedded>
  fs::path Path(const Embedded& embedded) const {
    constexpr std::string_view kPrefix = "embedded:";
    const std::string text = Text();
    const bool ours = text.rfind(kPrefix, 0) == 0;
    fs::path path = ours ? embedded(text.substr(kPrefix.size())) : source_.parent_path() / text;
    if (path.empty()) Fail(fmt::format("'{}' is none of the embedded files", text));
    path = path.lexically_normal();
    if (!fs::exists(path)) Fail(fmt::format("{} is not there", path.string()));
    return path;
  }

 private:
  std::string Path(std::string_view name) const {
    return key_.empty() ? std::string(name) : fmt::format("{}.{}", key_, name);
  }

  const json& value_;
  fs::path source_;
  std::string key_;
};

void ReadCount(const Node& parent, std::string_view name, size_t least, size_t& value) {
  if (const auto node = parent.Find(name)) value = node->Count(least);
}

fs::path EmbeddedModelPath(const std::string& member) {
  const auto members = evals::EmbeddedMembers();
  if (std::find(members.begin(), members.end(), member) == members.end()) return {};
  return evals::EmbeddedModel(member);
}

/// A look-up of a name by its own rules; what it says of an unknown one gets its place in the plan.
template <class Find>
std::string KnownName(const Node& node, const Find& find) {
  try {
    return std::string(find(node.Text()).name);
  } catch (const Error& error) {
    node.Fail(error.what());
  }
}

void ParseShape(const Node& node, PlanModel& model) {
  node.CheckKeys({"name", "synth", "layers"});
  model.shape = KnownName(node.At("synth"), engine::FindSynthShape);
  model.name = model.shape;
  if (const auto layers = node.Find("layers")) {
    model.layers = static_cast<uint32_t>(std::min(layers->Count(1), kMostLayers));
  }
}

PlanModel ParseModel(const Node& node) {
  PlanModel model;
  if (!node.value().is_object()) {
    model.path = node.Path(EmbeddedModelPath);
    model.name = VisibleText(model.path.stem().string());
  } else if (node.Find("synth")) {
    ParseShape(node, model);
  } else {
    node.CheckKeys({"name", "path"});
    model.path = node.At("path").Path(EmbeddedModelPath);
    model.name = VisibleText(model.path.stem().string());
  }
  if (node.value().is_object() && node.Find("name")) model.name = node.At("name").Name();
  // The name becomes part of file names.
  if (model.name.find('/') != std::string::npos) node.Fail("a name must not contain '/'");
  return model;
}

PerplexityMetric ParsePerplexity(const Node& node) {
  node.CheckKeys({"text", "context", "chunks", "divergence"});
  PerplexityMetric metric;
  metric.text = node.At("text").Path([](const std::string& name) {
    return name == "heldout" ? evals::EmbeddedHeldout() : fs::path();
  });
  ReadCount(node, "context", 4, metric.context);
  ReadCount(node, "chunks", 0, metric.chunks);
  if (const auto divergence = node.Find("divergence")) metric.divergence = divergence->Flag();
  return metric;
}

TasksMetric ParseTasks(const Node& node) {
  node.CheckKeys({"directory", "names", "limit"});
  TasksMetric metric;
  metric.directory = node.At("directory").Path([](const std::string& name) {
    return name == "tasks" ? evals::EmbeddedTasks() : fs::path();
  });
  for (const Node& name : node.At("names").Elements()) {
    metric.names.push_back(name.Name());
    if (!fs::exists(JoinPath(metric.directory, metric.names.back() + ".jsonl"))) {
      name.Fail(fmt::format("no {}.jsonl in {}", metric.names.back(), metric.directory.string()));
    }
  }
  ReadCount(node, "limit", 0, metric.limit);
  return metric;
}

SpeedMetric ParseSpeed(const Node& node) {
  node.CheckKeys({"prefill", "decode", "repetitions"});
  SpeedMetric metric;
  ReadCount(node, "prefill", 1, metric.prefill);
  ReadCount(node, "decode", 1, metric.decode);
  ReadCount(node, "repetitions", 1, metric.repetitions);
  return metric;
}

CrossoverMetric ParseCrossover(const Node& node) {
  node.CheckKeys({"tokens", "repetitions"});
  CrossoverMetric metric;
  if (const auto tokens = node.Find("tokens")) {
    metric.tokens.clear();
    for (const Node& count : tokens->Elements()) {
      metric.tokens.push_back(count.Count(metric.tokens.empty() ? 1 : metric.tokens.back() + 1));
    }
  }
  ReadCount(node, "repetitions", 1, metric.repetitions);
  return metric;
}

Metrics ParseMetrics(const Node& node) {
  node.CheckKeys({"perplexity", "tasks", "speed", "crossover"});
  Metrics metrics;
  if (const auto found = node.Find("perplexity")) metrics.perplexity = ParsePerplexity(*found);
  if (const auto found = node.Find("tasks")) metrics.tasks = ParseTasks(*found);
  if (const auto found = node.Find("speed")) metrics.speed = ParseSpeed(*found);
  if (const auto found = node.Find("crossover")) metrics.crossover = ParseCrossover(*found);
  if (!metrics.perplexity && !metrics.tasks && !metrics.speed && !metrics.crossover) {
    node.Fail("nothing to measure");
  }
  return metrics;
}

template <class T, class Name = std::identity>
void CheckDistinct(const Node& node, const std::vector<T>& all, const Name& name = {}) {
  std::set<std::decay_t<decltype(name(all[0]))>> seen;
  for (const T& one : all) {
    if (!seen.insert(name(one)).second) node.Fail(fmt::format("'{}' comes twice", name(one)));
  }
}

}  // namespace

Plan ParsePlan(std::string_view text, const fs::path& source) {
  const json value = ParseJson(text, {.name = source.string(),
                                      .code = ErrorCode::kInvalidArgument,
                                      .remedy = "expected a plan as docs/guide.md describes it"});
  const Node root(value, source, "");
  root.CheckKeys({"name", "about", "models", "recipes", "threads", "metrics", "keep_files"});
  Plan plan;
  plan.name = root.At("name").Name();
  if (const auto about = root.Find("about")) plan.about = about->Name();
  const Node models = root.At("models");
  for (const Node& model : models.Elements()) plan.models.push_back(ParseModel(model));
  CheckDistinct(models, plan.models, [](const PlanModel& model) { return model.name; });
  const Node recipes = root.At("recipes");
  for (const Node& recipe : recipes.Elements()) {
    const bool own = recipe.value() == kOwnFile;
    plan.recipes.push_back(own ? std::string(kOwnFile) : KnownName(recipe, FindPlanRecipe));
  }
  CheckDistinct(recipes, plan.recipes);
  if (const auto threads = root.Find("threads")) {
    for (const Node& count : threads->Elements()) plan.threads.push_back(count.Count(1));
    CheckDistinct(*threads, plan.threads);
  }
  plan.metrics = ParseMetrics(root.At("metrics"));
  if (const auto keep = root.Find("keep_files")) plan.keep_files = keep->Flag();
  return plan;
}

namespace {

/// Of the ready plans, by name.
std::vector<fs::path> ReadyPlanFiles() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(DataPath("bench/plans"))) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Plan LoadPlan(const std::string& file_or_name) {
  if (fs::is_regular_file(file_or_name)) return ParsePlan(ReadFile(file_or_name), file_or_name);
  std::vector<std::string> names;
  for (const fs::path& path : ReadyPlanFiles()) {
    names.push_back(path.stem().string());
    if (names.back() == file_or_name) return ParsePlan(ReadFile(path), path);
  }
  throw Error(ErrorCode::kNotFound, fmt::format("{} is neither a plan file nor a ready plan ({})",
                                                file_or_name, fmt::join(names, ", ")));
}

std::vector<ReadyPlan> ReadyPlans() {
  std::vector<ReadyPlan> plans;
  for (const fs::path& path : ReadyPlanFiles()) {
    const Plan plan = ParsePlan(ReadFile(path), path);
    plans.push_back({path.stem().string(), plan.about, CountCells(plan)});
  }
  return plans;
}

void AddModelFiles(const std::vector<std::string>& words, Plan& plan) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    const bool named = equals != std::string::npos;
    const fs::path path = named ? word.substr(equals + 1) : word;
    if (!fs::exists(path)) {
      throw Error(ErrorCode::kNotFound,
                  fmt::format("--model {}: {} is not there", word, path.string()));
    }
    const std::string name = named ? word.substr(0, equals) : VisibleText(path.stem().string());
    const auto found = std::find_if(plan.models.begin(), plan.models.end(),
                                    [&](const PlanModel& model) { return model.name == name; });
    if ((found != plan.models.end()) != named) {
      std::vector<std::string> names;
      for (const PlanModel& model : plan.models) names.push_back(model.name);
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--model {}: the plan has {} model '{}'; its models: {}", word,
                              named ? "no" : "already a", name, fmt::join(names, ", ")));
    }
    if (named) {
      *found = {.name = name, .path = path};
    } else {
      plan.models.push_back({.name = name, .path = path});
    }
  }
}

size_t CountCells(const Plan& plan) {
  return plan.models.size() * plan.recipes.size() * std::max<size_t>(plan.threads.size(), 1);
}

void to_json(json& json, const Metrics& metrics) {
  json = json::object();
  if (const auto& m = metrics.perplexity) {
    json["perplexity"] = {
        {"text", PathText(m->text)}, {"context", m->context}, {"chunks", m->chunks}};
    // Only where it is asked for: cells that were measured before it existed keep their keys.
    if (m->divergence) json["perplexity"]["divergence"] = true;
  }
  if (const auto& m = metrics.tasks) {
    json["tasks"] = {
        {"directory", PathText(m->directory)}, {"names", m->names}, {"limit", m->limit}};
  }
  if (const auto& m = metrics.speed) {
    json["speed"] = {
        {"prefill", m->prefill}, {"decode", m->decode}, {"repetitions", m->repetitions}};
  }
  if (metrics.crossover) json["crossover"] = *metrics.crossover;
}

void from_json(const json& json, Metrics& metrics) {
  metrics = {};
  if (const auto it = json.find("perplexity"); it != json.end()) {
    metrics.perplexity = PerplexityMetric{
        PathOfText(it->at("text").get<std::string>()), it->at("context").get<size_t>(),
        it->at("chunks").get<size_t>(), it->value("divergence", false)};
  }
  if (const auto it = json.find("tasks"); it != json.end()) {
    metrics.tasks =
        TasksMetric{PathOfText(it->at("directory").get<std::string>()),
                    it->at("names").get<std::vector<std::string>>(), it->at("limit").get<size_t>()};
  }
  if (const auto it = json.find("speed"); it != json.end()) {
    metrics.speed = SpeedMetric{it->at("prefill").get<size_t>(), it->at("decode").get<size_t>(),
                                it->at("repetitions").get<size_t>()};
  }
  if (const auto it = json.find("crossover"); it != json.end()) {
    metrics.crossover = it->get<CrossoverMetric>();
  }
}

}  // namespace crossover::bench
