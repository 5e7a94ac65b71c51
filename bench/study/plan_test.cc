#include "bench/study/plan.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

using nlohmann::json;

/// A folder with a model, a text and a task, and a plan that uses them.
class PlanTest {
 public:
  PlanTest() {
    WriteFile(directory_ / "tiny.gguf", "GGUF");
    WriteFile(directory_ / "text.txt", "words");
    WriteFile(directory_ / "facts.jsonl", "{}");
    plan = {{"name", "mine"},
            {"models", {"tiny.gguf"}},
            {"recipes", {"F16", "q4_k"}},
            {"metrics",
             {{"perplexity", {{"text", "text.txt"}, {"chunks", 3}}},
              {"tasks", {{"directory", "."}, {"names", {"facts"}}}},
              {"speed", {{"prefill", 16}}}}}};
  }
  Plan Parse() const { return ParsePlan(plan.dump(), directory_ / "plan.json"); }
  std::string Complaint() const {
    try {
      (void)Parse();
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "none";
  }
  bool Names(const std::string& key) const {
    const std::string complaint = Complaint();
    INFO(complaint);
    return complaint.find((directory_ / "plan.json").string() + ": " + key) == 0;
  }
  std::filesystem::path path(const std::string& name) const { return directory_ / name; }

  json plan;

 private:
  test::TemporaryDirectory directory_;
};

TEST_CASE("a plan may take the model's own file as a recipe and ask for the divergence from it") {
  PlanTest t;
  CHECK_FALSE(t.Parse().metrics.perplexity->divergence);
  CHECK_FALSE(json(t.Parse().metrics).at("perplexity").contains("divergence"));
  t.plan["recipes"] = {"file", "Q4_K"};
  t.plan["metrics"]["perplexity"]["divergence"] = true;
  const Plan plan = t.Parse();
  CHECK(plan.recipes == std::vector<std::string>{"file", "Q4_K_M"});
  CHECK(plan.metrics.perplexity->divergence);
  CHECK(json(plan.metrics).get<Metrics>().perplexity->divergence);
  t.plan["metrics"]["perplexity"]["divergence"] = 1;
  CHECK(t.Names("metrics.perplexity.divergence: expected true or false"));
}

TEST_CASE("a plan is read with its defaults, paths from its own folder, recipe aliases resolved") {
  const PlanTest t;
  const Plan plan = t.Parse();
  CHECK(plan.name == "mine");
  REQUIRE(plan.models.size() == 1);
  CHECK(plan.models[0].name == "tiny");
  CHECK(plan.models[0].path == t.path("tiny.gguf"));
  CHECK(plan.recipes == std::vector<std::string>{"F16", "Q4_K_M"});
  CHECK(plan.metrics.perplexity->context == 512);
  CHECK(plan.metrics.perplexity->chunks == 3);
  CHECK(plan.metrics.tasks->limit == 0);
  CHECK(plan.metrics.speed->prefill == 16);
  CHECK(plan.metrics.speed->repetitions == 5);
  CHECK_FALSE(plan.keep_files);
}

TEST_CASE("each mistake is named with its key") {
  PlanTest t;
  SUBCASE("missing") {
    t.plan.erase("models");
    CHECK(t.Names("plan: 'models' is missing"));
  }
  SUBCASE("unknown") {
    t.plan["metrics"]["sped"] = json::object();
    CHECK(t.Names("metrics: unknown key 'sped'"));
  }
  SUBCASE("empty list") {
    t.plan["recipes"] = json::array();
    CHECK(t.Names("recipes: "));
  }
  SUBCASE("unknown recipe") {
    t.plan["recipes"][1] = "Q4_Z";
    CHECK(t.Names("recipes[1]: "));
    CHECK(t.Complaint().find("Q4_Z") != std::string::npos);
  }
  SUBCASE("recipe twice under two names") {
    t.plan["recipes"] = {"Q4_K", "Q4_K_M"};
    CHECK(t.Names("recipes: 'Q4_K_M' comes twice"));
  }
  SUBCASE("no such model") {
    t.plan["models"][0] = "other.gguf";
    CHECK(t.Names("models[0]: "));
  }
  SUBCASE("no such embedded model") {
    t.plan["models"][0] = "embedded:xxl";
    CHECK(t.Names("models[0]: 'embedded:xxl'"));
  }
  SUBCASE("no such task") {
    t.plan["metrics"]["tasks"]["names"][0] = "riddles";
    CHECK(t.Names("metrics.tasks.names[0]: "));
  }
  SUBCASE("a negative count") {
    t.plan["metrics"]["speed"]["repetitions"] = -1;
    CHECK(t.Names("metrics.speed.repetitions: "));
  }
  SUBCASE("nothing to measure") {
    t.plan["metrics"] = json::object();
    CHECK(t.Names("metrics: nothing to measure"));
  }
  SUBCASE("a name that is a path") {
    t.plan["models"][0] = {{"name", "../x"}, {"path", "tiny.gguf"}};
    CHECK(t.Names("models[0]: "));
  }
}

TEST_CASE("what is no JSON says so") {
  try {
    (void)ParsePlan("{\"name\": ", "some/plan.json");
    FAIL("parsed");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("some/plan.json:1: not JSON") == 0);
  }
}

TEST_CASE("brackets without end say where") {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  try {
    (void)ParsePlan("{\"models\":" + deep + "}", "some/plan.json");
    FAIL("parsed");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("some/plan.json: brackets are nested") == 0);
  }
}

TEST_CASE("a model file whose name is no text has a name that all can read") {
  const PlanTest t;
  Plan plan = t.Parse();
  const test::TemporaryDirectory directory;
  const auto path = directory / "od\xff\x1b.gguf";
  WriteFile(path, "");
  AddModelFiles({path.string()}, plan);
  CHECK(plan.models.back().name == "od\\xff\\x1b");
  CHECK(plan.models.back().path == path);
}

TEST_CASE("metrics survive the way through JSON") {
  const PlanTest t;
  const json first = t.Parse().metrics;
  CHECK(json(first.get<Metrics>()) == first);
  CHECK(first.size() == 3);
}

TEST_CASE("a shape is a model without a file") {
  PlanTest t;
  t.plan["models"] = {{{"synth", "qwen2.5-7B"}},
                      {{"name", "short"}, {"synth", "qwen2.5-7b"}, {"layers", 4}}};
  const Plan plan = t.Parse();
  CHECK(plan.models[0].name == "qwen2.5-7b");
  CHECK(plan.models[0].shape == "qwen2.5-7b");
  CHECK(plan.models[0].path.empty());
  CHECK(plan.models[1].name == "short");
  CHECK(plan.models[1].layers == 4);
  t.plan["models"][0]["synth"] = "qwen9";
  CHECK(t.Names("models[0].synth: "));
  t.plan["models"][0] = {{"synth", "qwen2.5-7b"}, {"path", "tiny.gguf"}};
  CHECK(t.Names("models[0]: unknown key 'path'"));
}

TEST_CASE("a name that is more than a line of text is refused, a file's is made visible") {
  PlanTest t;
  for (const char* name : {"x\n!touch HERE\n#", "a\rb", "\x1b[2J", "a\u202eb", "a\u009bb"}) {
    CAPTURE(name);
    t.plan["models"] = {{{"name", name}, {"synth", "qwen2.5-7b"}}};
    CHECK(t.Names("models[0].name: a name must be one line"));
  }
  t.plan["models"] = {{{"synth", "qwen2.5-7b"}}};
  t.plan["name"] = "a\nb";
  CHECK(t.Names("name: a name must be one line"));
  t.plan["name"] = "a";
  WriteFile(t.path("x\ny.gguf"), "");
  t.plan["models"] = {"x\ny.gguf"};
  CHECK(t.Parse().models[0].name == "x\\x0ay");
}

TEST_CASE("cells are counted with their threads, of which none comes twice") {
  PlanTest t;
  CHECK(CountCells(t.Parse()) == 2);
  t.plan["threads"] = {1, 2, 4};
  CHECK(t.Parse().threads == std::vector<size_t>{1, 2, 4});
  CHECK(CountCells(t.Parse()) == 6);
  t.plan["threads"] = {2, 2};
  CHECK(t.Names("threads: '2' comes twice"));
  t.plan["threads"] = {0};
  CHECK(t.Names("threads[0]: "));
}

TEST_CASE("tokens of the crossover must rise") {
  PlanTest t;
  t.plan["metrics"] = {{"crossover", {{"tokens", {1, 8, 64}}, {"repetitions", 2}}}};
  CHECK(t.Parse().metrics.crossover->tokens == std::vector<size_t>{1, 8, 64});
  CHECK(t.Parse().metrics.crossover->repetitions == 2);
  t.plan["metrics"]["crossover"]["tokens"] = {8, 8};
  CHECK(t.Names("metrics.crossover.tokens[1]: "));
}

TEST_CASE("files take the place of a plan's shapes, or come in addition") {
  PlanTest t;
  t.plan["models"] = {{{"synth", "qwen2.5-7b"}}};
  Plan plan = t.Parse();
  const std::string file = t.path("tiny.gguf").string();
  AddModelFiles({"qwen2.5-7b=" + file, file}, plan);
  REQUIRE(plan.models.size() == 2);
  CHECK(plan.models[0].name == "qwen2.5-7b");
  CHECK(plan.models[0].path == file);
  CHECK(plan.models[0].shape.empty());
  CHECK(plan.models[1].name == "tiny");
  for (const std::string& word : {"other=" + file, file, file + "x"}) {
    CAPTURE(word);
    CHECK_THROWS_AS(AddModelFiles({word}, plan), Error);
  }
}

TEST_CASE("the ready plans parse, and an unknown name lists them") {
  std::vector<std::string> names;
  for (const ReadyPlan& plan : ReadyPlans()) {
    names.push_back(plan.name);
    CHECK_FALSE(plan.about.empty());
    CHECK(plan.cells == CountCells(LoadPlan(plan.name)));
    CHECK(LoadPlan(plan.name).name == plan.name);
  }
  CHECK(names == std::vector<std::string>{"bits", "demo", "paper"});
  CHECK(CountCells(LoadPlan("paper")) == 5 * 10);
  CHECK(LoadPlan("bits").recipes.size() == 7);
  // Below the paper's threshold of 3.5 bits, too.
  for (const char* plan : {"demo", "paper"}) {
    const auto recipes = LoadPlan(plan).recipes;
    CHECK(std::count(recipes.begin(), recipes.end(), "Q2_K pure") == 1);
    CHECK(std::count(recipes.begin(), recipes.end(), "G2_64Z") == 1);
  }
  CHECK(LoadPlan("demo").models.size() == 3);
  try {
    (void)LoadPlan("dmo");
    FAIL("loaded");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("demo") != std::string::npos);
  }
}

}  // namespace
}  // namespace crossover::bench
