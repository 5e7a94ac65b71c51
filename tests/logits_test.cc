// The executable's logits against goldens: those of tests/data come from make_tiny.py's forward
// pass in double precision, those of ../shared from another engine in float32.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/files/hf_family.h"
#include "kernels/isa.h"
#include "kernels/test_levels.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRows = 8;  // of every golden
// Of the golden's standard deviation. A pass in float32 stays below 1e-5; a forgotten bias or
// frequency factor, or a wrong rotation, epsilon or head group, is a hundred times the bound.
constexpr double kTolerance = 0.002;

struct Golden {
  fs::path model, tokens, logits;
};

std::vector<float> ReadFloats(const fs::path& path) {
  std::vector<float> values(fs::file_size(path) / sizeof(float));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

double StandardDeviation(const std::vector<float>& values) {
  double sum = 0;
  double squares = 0;
  for (const float v : values) {
    sum += v;
    squares += double{v} * v;
  }
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / n - (sum / n) * (sum / n));
}

/// The largest difference, infinite where one is not a number.
double MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - b[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
  }
  return worst;
}

void CheckGolden(const Golden& golden, std::string_view isa, size_t threads,
                 const std::vector<std::string>& more = {}) {
  const test::TemporaryDirectory directory;
  const fs::path out = directory / "logits.f32";
  INFO("model ", golden.model.string(), ", level ", isa, ", threads ", threads);
  std::vector<std::string> arguments{"logits",        golden.model.string(),
                                     "--tokens",      golden.tokens.string(),
                                     "--last",        std::to_string(kRows),
                                     "--out",         out.string(),
                                     "--activations", "f32",
                                     "--kv-type",     "f32",
                                     "--isa",         std::string(isa),
                                     "--threads",     std::to_string(threads)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const test::ProcessResult run = test::RunCrossover(arguments);
  INFO(run.err);
  REQUIRE(run.ok());
  const std::vector<float> expected = ReadFloats(golden.logits);
  const std::vector<float> actual = ReadFloats(out);
  REQUIRE(actual.size() == expected.size());
  CHECK(MaxDifference(actual, expected) <= kTolerance * StandardDeviation(expected));
}

std::vector<std::string> OwnModels() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test::SourceRoot() / "tests" / "data")) {
    if (entry.path().extension() == ".gguf") names.push_back(entry.path().stem().string());
  }
  return names;
}

Golden OwnGolden(const std::string& name) {
  const fs::path data = test::SourceRoot() / "tests" / "data";
  return {data / (name + ".gguf"), data / "tiny.tokens.txt", data / (name + ".logits.f32")};
}

TEST_CASE_TEMPLATE("logits are the golden's", Level, CROSSOVER_EVERY_LEVEL) {
  const kernels::LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const std::string& name : OwnModels()) {
    for (const size_t threads : {1, 2}) CheckGolden(OwnGolden(name), Level::kName, threads);
  }
}

// Views of fused matrices are read as they lie in the file.
TEST_CASE("logits of mapped weights are the golden's") {
  for (const std::string& name : OwnModels()) {
    CheckGolden(OwnGolden(name), kernels::SelectedIsa(), 2, {"--weights", "mapped"});
  }
}

TEST_CASE("every architecture has a golden") {
  std::set<std::string> found;
  for (const std::string& name : OwnModels()) {
    found.emplace(engine::GgufFile::Open(OwnGolden(name).model)->String("general.architecture"));
  }
  for (const engine::Architecture& architecture : engine::Architectures()) {
    INFO("add a model of ", architecture.name, " to make_tiny.py");
    CHECK(found.contains(std::string(architecture.name)));
  }
}

/// A directory as Hugging Face has it. Those of tests/data that hold no tokenizer have
/// tiny-qwen2's.
void CopyPublished(const std::string& name, const fs::path& to) {
  const fs::path data = test::SourceRoot() / "tests" / "data";
  fs::copy(data / (name + "-hf"), to);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy_file(data / "tiny-qwen2-hf" / file, to / file, fs::copy_options::skip_existing);
  }
}

std::vector<std::string> PublishedModels() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test::SourceRoot() / "tests" / "data")) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("-hf")) names.push_back(name.substr(0, name.size() - 3));
  }
  return names;
}

TEST_CASE("logits of Hugging Face's form of a model, as it is and converted, are the golden's") {
  CHECK(PublishedModels().size() > 20);
  for (const std::string& name : PublishedModels()) {
    const test::TemporaryDirectory directory;
    Golden golden = OwnGolden(name);
    golden.model = directory / "published";
    CopyPublished(name, golden.model);
    CheckGolden(golden, "auto", 2);  // as it is
    const fs::path converted = directory / "converted.gguf";
    const test::ProcessResult run =
        test::RunCrossover({"quantize", golden.model.string(), converted.string(), "F16"});
    INFO(run.err);
    REQUIRE(run.ok());
    golden.model = converted;
    CheckGolden(golden, "auto", 2);
  }
}

TEST_CASE("every published form that can be converted has a golden") {
  std::set<std::string> found;
  for (const std::string& name : PublishedModels()) {
    std::ifstream file(test::SourceRoot() / "tests" / "data" / (name + "-hf") / "config.json");
    found.insert(nlohmann::json::parse(file)["architectures"][0]);
  }
  for (const engine::HfFamily* family : engine::HfFamilies()) {
    if (family->model == "MistralForCausalLM") continue;  // Llama's, but for the window
    INFO("add a model of ", family->model, " to make_hf.py");
    CHECK(found.contains(std::string(family->model)));
  }
}

template <class... Levels>
bool Listed(std::string_view name) {
  return ((Levels::kName == name) || ...);
}

TEST_CASE("no level of this build goes untested") {
  for (const kernels::IsaLevel& level : kernels::IsaLevels()) {
    INFO("add ", level.name, " to CROSSOVER_EVERY_LEVEL");
    CHECK(Listed<CROSSOVER_EVERY_LEVEL>(level.name));
  }
}

/// A model of ../shared with 96 tokens, more than a KV page and a prefill block, at every level.
void CheckShared(const std::string& name) {
  const auto model = test::SharedFile("data/models/tiny/" + name + ".gguf");
  const auto tokens = test::SharedFile("data/models/tiny/tokens.txt");
  const auto logits = test::SharedFile("data/models/tiny/" + name + ".logits.f32");
  if (!model || !tokens || !logits) {
    test::Skip("../shared/data/models/tiny is not here");
    return;
  }
  for (const kernels::IsaLevel& level : kernels::IsaLevels()) {
    if (level.available) CheckGolden({*model, *tokens, *logits}, level.name, 2);
  }
}

TEST_CASE("logits of a shared llama model are another engine's") { CheckShared("tiny-llama"); }
TEST_CASE("logits of a shared llama 3 model are another engine's") { CheckShared("tiny-llama3"); }
TEST_CASE("logits of a shared qwen2 model are another engine's") { CheckShared("tiny-qwen2"); }
TEST_CASE("logits of a shared qwen3 model are another engine's") { CheckShared("tiny-qwen3"); }
TEST_CASE("logits of a shared phi3 model are another engine's") { CheckShared("tiny-phi3"); }
// That engine looks GELU up by a gate rounded to half precision: half of what is allowed.
TEST_CASE("logits of a shared gemma2 model are another engine's") { CheckShared("tiny-gemma2"); }
TEST_CASE("logits of a shared gemma3 model are another engine's") { CheckShared("tiny-gemma3"); }

}  // namespace
}  // namespace crossover
