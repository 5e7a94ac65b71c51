#include "evals/llama_score.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/model/load_tokenizer.h"
#include "evals/capacity.h"
#include "evals/embedded.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

TEST_CASE("llama scores: Wilson's interval as llama-perplexity prints it") {
  // 24 % and 26 % of 400, from the reference family's goldens.
  const auto low = WilsonInterval(96, 400);
  CHECK(100 * low.first == doctest::Approx(20.0746).epsilon(1e-5));
  CHECK(100 * low.second == doctest::Approx(28.4200).epsilon(1e-5));
  const auto high = WilsonInterval(104, 400);
  CHECK(100 * high.first == doctest::Approx(21.9442).epsilon(1e-5));
  CHECK(100 * high.second == doctest::Approx(30.5124).epsilon(1e-5));
}

// The binary file, from its parts.
class BinaryFile {
 public:
  BinaryFile& Number(uint32_t value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  BinaryFile& Text(const std::string& text) {
    Number(static_cast<uint32_t>(text.size()));
    bytes += text;
    return *this;
  }
  BinaryFile& Choices(const std::vector<std::string>& texts, uint32_t right) {
    Number(static_cast<uint32_t>(texts.size()));
    for (const std::string& text : texts) Text(text);
    for (uint32_t k = 0; k < texts.size(); ++k) Number(k == right ? 1 : 0);
    return *this;
  }
  std::string bytes;
};

std::string TwoItems() {
  BinaryFile body;
  body.Text("Who?").Choices({"Ann", "Bob", "Cy"}, 1).Choices({}, 0);
  const size_t second = body.bytes.size();
  body.Text("When?").Choices({"Now", "Then"}, 0).Choices({"a", "b"}, 0);
  BinaryFile file;
  file.Number(2).Number(12).Number(static_cast<uint32_t>(12 + second));
  return file.bytes + body.bytes;
}

TEST_CASE("llama scores: the multiple-choice file") {
  const auto items = ParseLlamaMultipleChoice(TwoItems(), "x.bin");
  REQUIRE(items.size() == 2);
  CHECK(items[0].prefix == "Who? ");
  CHECK(items[0].choices == std::vector<std::string>{"Ann", "Bob", "Cy"});
  CHECK(items[0].right == std::vector<bool>{false, true, false});
  CHECK(items[1].prefix == "When? ");
  CHECK(items[1].number == 2);
}

TEST_CASE("llama scores: a damaged multiple-choice file is refused, wherever it ends") {
  const std::string good = TwoItems();
  for (size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_WITH_AS(ParseLlamaMultipleChoice(good.substr(0, size), "x.bin"),
                         doctest::Contains("x.bin: byte "), Error);
  }
  const auto with = [&](size_t at, uint32_t value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return bytes;
  };
  CHECK_THROWS_AS(ParseLlamaMultipleChoice(with(0, 0), "x"), Error);
  CHECK_THROWS_AS(ParseLlamaMultipleChoice(with(0, 0xFFFFFFFF), "x"), Error);
  CHECK_THROWS_AS(ParseLlamaMultipleChoice(with(4, 0xFFFFFFFF), "x"), Error);
  CHECK_THROWS_WITH_AS(ParseLlamaMultipleChoice(with(20, 101), "x"),
                       doctest::Contains("101 answers; expected at most 100"), Error);
  CHECK_THROWS_AS(ParseLlamaMultipleChoice(with(12, 0), "x"), Error);
}

TEST_CASE("llama scores: the line of a HellaSwag item that is off") {
  const std::string item = "A: b\n2\nw\nx\ny\nz\n";
  CHECK(ParseLlamaHellaSwag(item, "h")[0].right == std::vector<bool>{false, false, true, false});
  CHECK(ParseLlamaHellaSwag(item, "h")[0].prefix == "A: b ");
  CHECK_THROWS_WITH_AS(ParseLlamaHellaSwag(item + "A: b\n4\nw\nx\ny\nz\n", "h"),
                       doctest::Contains("h:8: the right ending is \"4\"; expected 0, 1, 2 or 3"),
                       Error);
  CHECK_THROWS_WITH_AS(ParseLlamaHellaSwag(item + "A: b\n", "h"), doctest::Contains("h:7:"), Error);
  CHECK_THROWS_AS(ParseLlamaHellaSwag("", "h"), Error);
}

TEST_CASE("llama scores: wrong lines of WinoGrande") {
  const test::TemporaryDirectory directory;
  const auto refusal = [&](const std::string& text) {
    WriteFile(directory / "winogrande-debiased-eval.csv", text);
    try {
      (void)LoadLlamaTask("llama_winogrande", directory.path(), 0);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string good = "0,\"He, or _ sat.\",Al,Bo,2\n";
  CHECK(refusal(good).empty());
  CHECK(test::Contains(refusal(good + "1,He sat.,Al,Bo,2\n"), ":2: expected a sentence with"));
  CHECK(test::Contains(refusal(good + "1,_ sat.,Al,Bo,3\n"), ":2: the answer is \"3\""));
  CHECK(test::Contains(refusal(good + "1,_ sat.,Al,2\n"), ":2: 4 fields; expected 5"));
  const LlamaTask task = [&] {
    WriteFile(directory / "winogrande-debiased-eval.csv", good);
    return LoadLlamaTask("llama_winogrande", directory.path(), 0);
  }();
  CHECK(task.items[0].prefix == "He, or ");
  CHECK(task.items[0].suffix == " sat.");
  CHECK(task.items[0].right == std::vector<bool>{false, true});
}

// The reference family against what llama-perplexity prints, in its order of the items.
void CheckGolden(std::string_view member, const std::string& name, size_t limit,
                 const std::vector<int>& correct, size_t near_ties) {
  const auto data = test::SharedFile("data/evals");
  if (!data) {
    test::Skip("the data sets are not here");
    return;
  }
  const auto model = engine::Model::Load(EmbeddedModel(member));
  const auto tokenizer = engine::LoadTokenizer(model->file());
  engine::EngineOptions options;
  options.threads = 2;
  engine::Engine engine(model, EvaluationEngineOptions(options, model->config()));
  const LlamaTask task = LoadLlamaTask(name, *data, limit);
  const LlamaResult result = EvaluateLlama(engine, *tokenizer, task, {});
  REQUIRE(result.outcomes.size() == correct.size());
  size_t different = 0;
  for (size_t i = 0; i < correct.size(); ++i) {
    different += result.outcomes[i].correct != (correct[i] != 0) ? 1 : 0;
  }
  CHECK(different <= near_ties);
}

std::vector<int> Golden(std::string_view member, const char* key) {
  const auto path = test::SourceRoot() / "evals/testdata/llama_perplexity.json";
  const auto json = nlohmann::json::parse(ReadFile(path));
  return json["members"][std::string(member)][key].get<std::vector<int>>();
}

TEST_CASE("llama scores: the first items of HellaSwag as llama-perplexity judges them") {
  CheckGolden("xs", "llama_hellaswag", 60, Golden("xs", "hellaswag_60"), 1);
}

TEST_CASE("llama scores: items of WinoGrande as llama-perplexity judges them") {
  CheckGolden("xs", "llama_winogrande", 100, Golden("xs", "winogrande_100"), 2);
}

}  // namespace
}  // namespace crossover::evals
