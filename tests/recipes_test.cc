// From file to figure through the executable: quantise a member of the reference family, read its
// perplexity, and hold both against what llama-quantize and llama-perplexity give for the same
// file, text and chunks (tests/data/reference_goldens.json).
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json Goldens() {
  std::ifstream file(test::SourceRoot() / "tests/data/reference_goldens.json");
  return json::parse(file).at("members");
}

fs::path Reference(const std::string& member) {
  return test::SourceRoot() / "models" / ("reference-" + member + ".gguf");
}

json RunForJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--json", "--quiet"});
  const test::ProcessResult run =
      test::RunCrossover(arguments, {.timeout = std::chrono::minutes(8)});
  INFO(run.err);
  REQUIRE(run.ok());
  return json::parse(run.out);
}

double HeldoutPerplexity(const fs::path& model) {
  const fs::path text = test::SourceRoot() / "models/heldout.txt";
  const json result =
      RunForJson({"perplexity", model.string(), "-f", text.string(), "--chunks", "60"});
  CHECK(result.at("chunks") == 60);
  CHECK(result.at("tokens") == 60 * 255);
  return result.at("ppl").get<double>();
}

TEST_CASE("the perplexity of the F16 models is llama-perplexity's") {
  const json goldens = Goldens();
  for (const auto& [member, golden] : goldens.items()) {
    CAPTURE(member);
    const double expected = golden.at("F16").at("ppl").get<double>();
    CHECK(HeldoutPerplexity(Reference(member)) == doctest::Approx(expected).epsilon(0.001));
  }
}

/// Quantised here, against the same recipe by llama-quantize: its size to the byte, and its
/// perplexity or a better one.
void CheckRecipe(const std::string& member, const std::string& recipe) {
  CAPTURE(member);
  CAPTURE(recipe);
  const json golden = Goldens().at(member).at(recipe);
  const test::TemporaryDirectory directory;
  const fs::path file = directory / "quantised.gguf";
  const json report = RunForJson({"quantize", Reference(member).string(), file.string(), recipe});
  CHECK(fs::file_size(file) == golden.at("file_bytes").get<uintmax_t>());
  CHECK(report.at("file_bytes") == fs::file_size(file));

  const double expected = golden.at("ppl").get<double>();
  const double actual = HeldoutPerplexity(file);
  CHECK(actual < expected * 1.003);
  // Much better than llama-quantize's would be a mistake in measuring.
  CHECK(actual > expected * 0.99);
}

TEST_CASE("the uniform family: every bit lowers the perplexity, towards that of F16") {
  const double unquantised = Goldens().at("xs").at("F16").at("ppl").get<double>();
  const test::TemporaryDirectory directory;
  const fs::path file = directory / "quantised.gguf";
  double last = 0;
  int bits = 2;
  for (const char* recipe : {"G2", "G3", "G4", "G5", "G6"}) {
    CAPTURE(recipe);
    const json report = RunForJson({"quantize", Reference("xs").string(), file.string(), recipe});
    CHECK(report.at("effective_bpw").get<double>() == bits++ + 0.5);
    const double perplexity = HeldoutPerplexity(file);
    if (last > 0) CHECK(perplexity < last);
    CHECK(perplexity > unquantised * 0.999);
    last = perplexity;
  }
  CHECK(last < unquantised * 1.003);
}

TEST_CASE("Q8_0 costs and keeps what llama-quantize's does") { CheckRecipe("xs", "Q8_0"); }
TEST_CASE("Q4_K_M costs and keeps what llama-quantize's does") { CheckRecipe("xs", "Q4_K_M"); }
TEST_CASE("Q4_0 costs and keeps what llama-quantize's does") { CheckRecipe("xs", "Q4_0"); }
TEST_CASE("Q2_K costs and keeps what llama-quantize's does") { CheckRecipe("xs", "Q2_K"); }
// Four layers: mixtures that go by layer.
TEST_CASE("Q4_K_M of four layers keeps what llama-quantize's does") { CheckRecipe("s", "Q4_K_M"); }
TEST_CASE("Q2_K of four layers keeps what llama-quantize's does") { CheckRecipe("s", "Q2_K"); }

}  // namespace
}  // namespace crossover
