// `perplexity` and `eval` from the command line: what the contract promises in JSON, and how they
// fail.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

using nlohmann::json;
using test::ProcessResult;
using test::RunCrossover;

std::string Model(const std::string& member) {
  return (test::SourceRoot() / ("models/reference-" + member + ".gguf")).string();
}

std::string Heldout() { return (test::SourceRoot() / "models/heldout.txt").string(); }

json Json(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--json", "--quiet"});
  const ProcessResult result = RunCrossover(std::move(arguments));
  CAPTURE(result.err);
  REQUIRE(result.ok());
  return json::parse(result.out);
}

double Number(const json& object, const std::string& key) {
  CAPTURE(key);
  REQUIRE(object.contains(key));
  return object.at(key).get<double>();
}

TEST_CASE("perplexity: a base model, run beside or saved, gives the same divergence") {
  const test::TemporaryDirectory directory;
  const std::string q2 = (directory / "q2.gguf").string();
  const std::string base = (directory / "base.kld").string();
  REQUIRE(RunCrossover({"quantize", Model("xs"), q2, "Q2_K", "--quiet"}).ok());
  const std::vector<std::string> text = {"-f", Heldout(), "-c", "64", "--chunks", "4"};
  const auto with = [&](std::vector<std::string> words, bool on_text) {
    if (on_text) words.insert(words.end(), text.begin(), text.end());
    return Json(std::move(words));
  };
  const json beside = with({"perplexity", q2, "--kl-model", Model("xs")}, true);
  const json plain = with({"perplexity", Model("xs"), "--kl-save", base}, true);
  const json saved = with({"perplexity", q2, "--kl-base", base}, false);
  CHECK(beside == saved);
  CHECK(Number(beside, "ppl_base") == Number(plain, "ppl"));
  CHECK(Number(plain, "ppl_block_stderr") > 0);
  for (const char* key :
       {"ppl", "ppl_stderr", "tokens", "chunks", "kld_mean", "kld_stderr", "kld_max", "same_top",
        "ln_ppl_correlation", "ppl_ratio", "ppl_ratio_stderr", "ppl_difference",
        "ppl_difference_stderr", "delta_p_rms", "delta_p_rms_stderr", "ppl_base_stderr"}) {
    CHECK(std::isfinite(Number(beside, key)));
  }
  CHECK(beside.at("kld_percentiles").size() == 11);
  CHECK(beside.at("delta_p_percentiles").size() == 13);
  CHECK(Number(beside.at("kld_percentiles"), "100") == Number(beside, "kld_max"));
  CHECK(Number(beside, "kld_mean") > 0);

  const json paired = with({"perplexity", Model("xs"), q2}, true);
  REQUIRE(paired.size() == 2);
  CHECK(Number(paired[0], "ppl") == Number(plain, "ppl"));
  CHECK(Number(paired[1], "ln_ppl_ratio") == Number(beside, "ln_ppl_ratio"));
  CHECK(Number(paired[1], "ln_ppl_ratio_stderr") == Number(beside, "ln_ppl_ratio_stderr"));
}

TEST_CASE("perplexity: flags that contradict each other are refused") {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{},
        {"--kl-model", Model("s")},
        {"-f", Heldout(), "--kl-format", "llama.cpp"},
        {"-f", Heldout(), "--kl-model", Model("s"), "--kl-save", "x"}}) {
    std::vector<std::string> words = {"perplexity", Model("xs")};
    words.insert(words.end(), flags.begin(), flags.end());
    CHECK(RunCrossover(words).exit_code == 2);
  }
}

TEST_CASE("eval --compare: differences, discordant items and McNemar's test") {
  const test::TemporaryDirectory directory;
  const std::string q2 = (directory / "q2.gguf").string();
  REQUIRE(RunCrossover({"quantize", Model("xs"), q2, "Q2_K", "--quiet"}).ok());
  const json both =
      Json({"eval", Model("xs"), q2, "--tasks", "facts", "--limit", "40", "--compare"});
  REQUIRE(both.at("results").size() == 4);
  REQUIRE(both.at("compare").size() == 2);
  for (size_t k = 0; k < 2; ++k) {
    const json& row = both.at("compare")[k];
    CHECK(row.at("model") == q2);
    CHECK(row.at("base") == Model("xs"));
    CHECK(Number(row, "n") == 40);
    const double difference =
        Number(both.at("results")[2 + k], "value") - Number(both.at("results")[k], "value");
    CHECK(Number(row, "difference") == doctest::Approx(difference));
    CHECK((Number(row, "gained") - Number(row, "lost")) / 40 == doctest::Approx(difference));
    CHECK(Number(row, "mcnemar_p") > 0);
    CHECK(Number(row, "mcnemar_p") <= 1);
    CHECK(std::isfinite(Number(row, "stderr")));
  }
  const ProcessResult csv = RunCrossover({"eval", Model("xs"), q2, "--tasks", "facts", "--limit",
                                          "5", "--compare", "--csv", "--quiet"});
  CHECK(test::Contains(csv.out, "\n\nmodel,base,task,metric,difference,stderr,n,gained,lost,"));
  CHECK(RunCrossover({"eval", Model("xs"), "--tasks", "facts", "--compare"}).exit_code == 2);
}

TEST_CASE("eval: llama-perplexity's scores, from a file of one's own") {
  const test::TemporaryDirectory directory;
  std::string text;
  for (const char* ending : {"0", "1", "2", "3"}) {
    text += "The sky: The sky is\n" + std::string(ending) + "\nblue\nred and wet\nso\nold.\n";
  }
  WriteFile(directory / "hellaswag_val_full.txt", text);
  const json rows = Json(
      {"eval", Model("xs"), "--tasks", "llama_hellaswag", "--data", directory.path().string()});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].at("metric") == "acc_tokens");
  CHECK(Number(rows[0], "value") == 0.25);  // whichever ending it likes best
  CHECK(Number(rows[0], "n") == 4);
  WriteFile(directory / "hellaswag_val_full.txt", text + "more\n");
  const ProcessResult damaged = RunCrossover(
      {"eval", Model("xs"), "--tasks", "llama_hellaswag", "--data", directory.path().string()});
  CHECK(damaged.exit_code == 1);
  CHECK(test::Contains(damaged.err, "hellaswag_val_full.txt:25: the last item has 1 lines"));
}

}  // namespace
}  // namespace crossover
