#include "bench/predict/predict.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/data_path.h"
#include "base/error.h"
#include "bench/machine/system.h"
#include "bench/predict/uncertainty.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

ModelWork SmallModel() {
  ModelWork work{.model = "small", .format = "Q4_0", .quantized = true, .layers = 10};
  work.layer_bytes = 5e8;
  work.layer_weights = 9e8;
  work.output_bytes = 5e7;
  work.output_weights = 1e8;
  work.file_bytes = 550'000'000;
  work.attention_width = 1000;
  work.kv_bytes_per_token = 1000;
  return work;
}

TEST_CASE("pass work: by hand") {
  const PassWork products = WorkOfProducts(SmallModel(), 3);
  CHECK(products.bytes == 5.5e8);
  CHECK(products.operations == 2 * (3 * 9e8 + 1e8));
  CHECK(products.weights == 1e9);
  CHECK(products.layers == 10);
  // Three tokens behind five: 3 · 5 + 1 + 2 + 3 pairs of 4 · 1000 operations in 10 layers.
  const PassWork pass = WorkOfPass(SmallModel(), 3, 5);
  CHECK(pass.operations - products.operations == 21 * 4 * 1000 * 10);
  CHECK(pass.bytes - products.bytes == 8000);
}

TEST_CASE("pass work: a shape in a recipe, by its published numbers") {
  const ModelWork work =
      WorkOfShape(engine::FindSynthShape("qwen2.5-0.5b"), quant::FindRecipe("Q8_0"));
  // Q and O of 896², K and V of 128 rows, gate, up and down of 4864; the embedding is the output.
  const double layer = 2 * 896.0 * 896 + 2 * 128.0 * 896 + 3 * 4864.0 * 896;
  CHECK(work.layer_weights == 24 * layer);
  CHECK(work.output_weights == 151936.0 * 896);
  CHECK(work.layer_bytes == work.layer_weights * 34 / 32);
  CHECK(work.effective_bpw == doctest::Approx(8.5));
  CHECK(work.quantized);
  CHECK(work.kv_bytes_per_token == 2 * 2 * 2 * 64 * 24);
  CHECK_FALSE(
      WorkOfShape(engine::FindSynthShape("qwen2.5-0.5b"), quant::FindRecipe("F16")).quantized);
  // Untied: the embedding is looked up, not multiplied with.
  const ModelWork untied =
      WorkOfShape(engine::FindSynthShape("qwen2.5-7b"), quant::FindRecipe("Q8_0"));
  CHECK(untied.output_weights == 152064.0 * 3584);
}

TEST_CASE("pass work: a file") {
  const ModelWork work = WorkOfFile(DataPath("models/reference-xs.gguf"));
  CHECK(work.effective_bpw == 16);
  CHECK_FALSE(work.quantized);
  CHECK(work.layer_weights > 0);
  CHECK(work.layer_bytes == 2 * work.layer_weights);
  CHECK(work.output_weights > 0);
  CHECK(work.attention_width > 0);
}

TEST_CASE("predict: by hand, one rate") {
  PredictMachine machine{.name = "m", .source = "s"};
  machine.model = {.read_bytes_s = 5.5e9, .rates = {{"", 2e11, 0}}, .layer_s = 1e-3};
  const ModelWork model = SmallModel();
  const auto rows = Predict(machine, {&model, 1}, {.prefill = {100}, .decode = {0}});
  REQUIRE(rows.size() == 2);
  // Prefill: (2 (100 · 9e8 + 1e8) + 5050 · 4e4) / 2e11 = 0.90201 s, and 10 ms.
  CHECK(rows[0].test == "prefill");
  CHECK(rows[0].seconds == doctest::Approx(0.90201 + 0.01).epsilon(1e-4));
  CHECK(rows[0].tok_s() == doctest::Approx(100 / 0.91201).epsilon(1e-4));
  CHECK(rows[0].bound() == "computation");
  // Decode: 0.1 s of reading against 0.01 s of computing.
  CHECK(rows[1].seconds == doctest::Approx(0.11).epsilon(1e-4));
  CHECK(rows[1].bound() == "communication");
  // 2 (9e8 t + 1e8) / 2e11 = 0.1 at t = 11.
  REQUIRE(rows[1].tokens_at_change);
  CHECK(*rows[1].tokens_at_change == doctest::Approx(11));
  // The named parts, and which of them it is.
  CHECK(rows[0].bounded_by() == "multiplying");
  CHECK(rows[1].bounded_by() == "reading weights");
  CHECK(rows[1].parts.weights_s == doctest::Approx(0.1));
  CHECK(rows[1].parts.cache_s == doctest::Approx(1000 / 5.5e9));
  CHECK(rows[0].parts.attention_s == doctest::Approx(5050 * 4e4 / 2e11));
  CHECK(rows[1].low_tok_s == doctest::Approx(rows[1].tok_s()));  // exact numbers: no width
  const nlohmann::json json = PredictJson(machine, rows);
  CHECK(json.at("predictions").at(1).at("bounded_by") == "reading weights");
  CHECK(json.at("predictions").at(1).at("parts").size() == 6);
  CHECK(json.at("parts").at(0).at("unit") == "GB/s");
  CHECK(json.at("prediction") == true);
  CHECK(json.at("predictions").at(1).at("bound") == "communication");
  CHECK(PredictTable(machine, rows).find("A PREDICTION") != std::string::npos);
  CHECK(PredictCsv(machine, rows).find("predicted_tok_s") != std::string::npos);
}

TEST_CASE("predict: an interval from the parts' ranges, each where it bounds") {
  PredictMachine machine{.name = "m", .source = "s"};
  machine.model = {.read_bytes_s = 5.5e9, .rates = {{"", 2e11, 4}}};
  machine.read = {.low = 0.5, .high = 0.9, .source = "made up"};
  machine.arithmetic = {.low = 0.25, .high = 1, .source = "made up"};
  const ModelWork model = SmallModel();
  const auto rows = Predict(machine, {&model, 1}, {.prefill = {100}, .decode = {0, 1'000'000}});
  CHECK(rows[1].low_tok_s == doctest::Approx(0.5 * rows[1].tok_s()).epsilon(1e-3));
  CHECK(rows[1].high_tok_s == doctest::Approx(0.9 * rows[1].tok_s()).epsilon(1e-3));
  CHECK(rows[0].low_tok_s == doctest::Approx(0.25 * rows[0].tok_s()).epsilon(1e-3));
  CHECK(rows[0].high_tok_s == doctest::Approx(rows[0].tok_s()).epsilon(1e-3));
  // A million tokens before it: the cache is twice the weights.
  CHECK(rows[2].bounded_by() == "reading the cache");
  // u = 4 operations a weight, once a pass: more than one token's two.
  CHECK(rows[1].parts.unpacking_s == doctest::Approx(2 * rows[1].parts.products_s));
  machine.whole = {.low = 0.8, .high = 1.25, .source = "fit"};
  const auto fitted = Predict(machine, {&model, 1}, {.prefill = {}, .decode = {0}});
  CHECK(fitted[0].low_tok_s == doctest::Approx(0.8 * rows[1].low_tok_s));
  CHECK(PredictTable(machine, rows).find("made up") != std::string::npos);
}

TEST_CASE("predict: how far limits are reached is what others have published") {
  const Published published = LoadPublished();
  const Factor measured = ReachOfReading(published, RateKind::kMeasured);
  const Factor nominal = ReachOfReading(published, RateKind::kNominal);
  // A Raspberry Pi's speeds are 0.74 to 0.8 of its best read rate, more of that of four threads.
  CHECK(measured.low > 0.5);
  CHECK(measured.high < 1.1);
  CHECK(nominal.low < measured.low);
  CHECK_FALSE(measured.source.empty());
  const Factor arithmetic = ReachOfArithmetic(published);
  CHECK(arithmetic.low > 0);
  CHECK(arithmetic.high < 1.1);
  CHECK(ReachOfReading({}, RateKind::kMeasured).exact());
  CHECK(FactorOfFit(0).exact() == true);
  CHECK(FactorOfFit(0.1).high == doctest::Approx(std::exp(0.12816)));
}

TEST_CASE("predict: what does not fit has no speed") {
  PredictMachine machine{.name = "m", .source = "s", .memory_bytes = 550'000'000 + 50 * 1000};
  machine.model = {.read_bytes_s = 1e10, .rates = {{"", 1e11, 0}}};
  const ModelWork model = SmallModel();
  const auto rows = Predict(machine, {&model, 1}, {.prefill = {100}, .decode = {49}});
  CHECK_FALSE(rows[0].fits);  // its cache makes the difference
  CHECK(rows[1].fits);
  const nlohmann::json json = PredictJson(machine, rows);
  CHECK(json.at("predictions").at(0).at("tok_s").is_null());
  CHECK(json.at("predictions").at(1).at("tok_s").get<double>() > 0);
  CHECK(PredictTable(machine, rows).find("does not fit") != std::string::npos);
}

TEST_CASE("predict: units follow the tokens of a pass") {
  const TimeModel model{.rates = {{"f32_fma", 1, 0}, {"int8_dot", 1, 0}, {"amx_bf16", 1, 0}}};
  CHECK(UnitFor(model, true, 16) == "int8_dot");
  CHECK(UnitFor(model, true, 17) == "amx_bf16");
  CHECK(UnitFor(model, false, 1) == "f32_fma");
  const TimeModel plain{.rates = {{"f32_fma", 1, 0}, {"int8_dot", 1, 0}}};
  CHECK(UnitFor(plain, true, 512) == "int8_dot");
  CHECK(UnitFor({.rates = {{"", 1, 0}}}, true, 512).empty());
  CHECK(UnitFor({.rates = {{"int8_dot", 1, 0}}}, false, 1) == "int8_dot");
}

TEST_CASE("predict: machines from names and from files, and what is wrong with a file") {
  for (const PredictMachine& machine : NominalMachines()) {
    CHECK(machine.source.find("nominal") != std::string::npos);
    CHECK(LoadPredictMachine(machine.name).model.read_bytes_s == machine.model.read_bytes_s);
  }
  // What four threads were measured to read; 4 cores · 2.4 GHz · 2 · 32 operations.
  const PredictMachine pi = LoadPredictMachine("raspberry-pi-5");
  CHECK(pi.source.starts_with("measured reads"));
  CHECK(pi.model.read_bytes_s == doctest::Approx(11.6e9));
  CHECK(pi.model.rates.at(0).operations_s == doctest::Approx(614.4e9));

  const test::TemporaryDirectory directory;
  const auto load = [&](const std::string& text, size_t threads = 0) {
    const auto path = directory / "machine.json";
    std::ofstream(path) << text;
    return LoadPredictMachine(path.string(), threads);
  };
  const std::string two_threads = R"({"cpu": "Some CPU", "memory_bytes": 8e9, "bandwidth": [
      {"level": "L2", "threads": 2, "gb_s": 99}, {"level": "memory_4k", "threads": 1, "gb_s": 50},
      {"level": "memory_4k", "threads": 2, "gb_s": 20},
      {"level": "memory_huge", "threads": 2, "gb_s": 30}],
    "peak": [{"unit": "int8_dot", "threads": 1, "gop_s": 100},
      {"unit": "int8_dot", "threads": 2, "gop_s": 200},
      {"unit": "amx_bf16", "threads": 2, "gop_s": null, "reason": "absent"}],
    "barrier": [{"threads": 2, "microseconds": 0.5}]})";
  const PredictMachine limits = load(two_threads);
  CHECK(limits.name == "Some CPU");
  CHECK(limits.memory_bytes == 8e9);
  CHECK(limits.model.read_bytes_s == doctest::Approx(30e9));
  CHECK(limits.read.low < 1);
  REQUIRE(limits.model.rates.size() == 1);
  CHECK(limits.model.rates[0].operations_s == doctest::Approx(200e9));
  CHECK(limits.model.layer_s == doctest::Approx(5e-6));

  const PredictMachine one = load(two_threads, 1);
  CHECK(one.model.read_bytes_s == doctest::Approx(50e9));
  CHECK(one.model.rates.at(0).operations_s == doctest::Approx(100e9));
  CHECK_THROWS_AS(LoadPredictMachine("raspberry-pi-5", 2), Error);

  const PredictMachine fit = load(R"({"cpu": "X", "time_model": {"median_error": 0.1,
    "worst_error": 0.5, "model": {"rule": "sum", "read_bytes_s": 1e10, "layer_s": 0,
    "rates": [{"unit": "", "operations_s": 1e12, "unpack": 2}]}}})");
  CHECK_FALSE(fit.model.overlapped);
  CHECK(fit.read.exact());
  CHECK(fit.whole.low == doctest::Approx(1 / fit.whole.high));
  CHECK(fit.source.find("median error 10.0 %") != std::string::npos);

  for (const char* bad :
       {"", "[]", "{}", "null", "7", R"({"bandwidth": [], "peak": []})", R"({"time_model": null})",
        R"({"time_model": {"median_error": 0, "worst_error": 0, "model": {"rule": "max",
            "read_bytes_s": -1, "layer_s": 0, "rates": []}}})",
        R"({"bandwidth": {"level": 3}, "peak": [1, 2]})"}) {
    CAPTURE(std::string(bad));
    CHECK_THROWS_AS(load(bad), Error);
  }
  CHECK_THROWS_WITH_AS(LoadPredictMachine("no-such-machine"), doctest::Contains("raspberry-pi-5"),
                       Error);
}

}  // namespace
}  // namespace crossover::bench
