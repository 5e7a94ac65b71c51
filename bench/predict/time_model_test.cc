#include "bench/predict/time_model.h"

#include <nlohmann/json.hpp>

#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

TEST_CASE("time model: by hand") {
  // 1e9 bytes at 1e10 B/s: 0.1 s. (2e9 + 3 · 1e9) operations at 1e11: 0.05 s. 10 layers of 1 ms.
  const PassWork work{.bytes = 1e9, .operations = 2e9, .weights = 1e9, .layers = 10};
  TimeModel model{.read_bytes_s = 1e10, .rates = {{"int8_dot", 1e11, 3}}, .layer_s = 1e-3};
  CHECK(model.Communication(work) == doctest::Approx(0.1));
  CHECK(model.Computation(work, "int8_dot") == doctest::Approx(0.05));
  CHECK(model.Seconds(work, "int8_dot") == doctest::Approx(0.11));
  model.overlapped = false;
  CHECK(model.Seconds(work, "int8_dot") == doctest::Approx(0.16));
  CHECK(model.RateOf("amx_bf16") == nullptr);
  model.rates.push_back({"", 1e12, 0});
  CHECK(model.RateOf("amx_bf16")->operations_s == 1e12);
  CHECK(model.RateOf("int8_dot")->unpack == 3);
  const nlohmann::json json = model;
  CHECK(nlohmann::json(json.get<TimeModel>()) == json);
}

/// Cells that a time model makes.
std::vector<CrossoverModel> Made(const TimeModel& truth) {
  std::vector<CrossoverModel> models;
  for (const double weights : {5e8, 3e9}) {
    CrossoverModel model{.model = "m", .format = "Q4_K", .effective_bpw = 4};
    model.parameters = static_cast<uint64_t>(weights);
    model.layers = 30;
    for (const size_t tokens : {1, 4, 16, 64, 512}) {
      CrossoverCell cell{.tokens = tokens, .bytes = weights / 2, .weights = weights};
      cell.operations = 2 * weights * static_cast<double>(tokens);
      cell.unit = tokens <= 16 ? "int8_dot" : "amx_bf16";
      const PassWork work = WorkOfCell(model, cell);
      cell.pass_s = {truth.Seconds(work, cell.unit)};
      cell.products_s = cell.pass_s;
      cell.resident_s = {truth.Computation(work, cell.unit)};
      cell.stream_s = {truth.Communication(work)};
      model.cells.push_back(cell);
    }
    models.push_back(model);
  }
  return models;
}

TEST_CASE("time model: a fit finds the numbers that made the cells, and the rule") {
  for (const bool overlapped : {true, false}) {
    CAPTURE(overlapped);
    const TimeModel truth{.overlapped = overlapped,
                          .read_bytes_s = 2e10,
                          .rates = {{"int8_dot", 4e11, 8}, {"amx_bf16", 2e12, 40}},
                          .layer_s = 5e-5};
    const auto fits = FitTimeModels(Made(truth));
    REQUIRE(fits.size() == 3);
    const TimeModelFit& fine = fits.back();
    CHECK(fine.model.overlapped == overlapped);
    CHECK(fine.worst_error < 0.01);
    CHECK(fine.errors.size() == 10);
    CHECK(fine.model.read_bytes_s == doctest::Approx(2e10));
    CHECK(fine.model.RateOf("int8_dot")->operations_s == doctest::Approx(4e11).epsilon(0.02));
    CHECK(fine.model.RateOf("amx_bf16")->unpack == doctest::Approx(40).epsilon(0.05));
    CHECK(fine.model.layer_s == doctest::Approx(5e-5).epsilon(0.05));
    // The plainer forms have less to fit with, and say so.
    CHECK(fits[0].parameters == 3);
    CHECK(fits[1].parameters == 4);
    CHECK(fine.parameters == 6);
    CHECK(fits[0].rms >= fits[1].rms);
    CHECK(fits[0].median_error > fine.median_error);
    CHECK(fits[0].median_error <= fits[0].worst_error);
  }
}

TEST_CASE("time model: with two machine parameters alone where they are all there is") {
  const TimeModel truth{.read_bytes_s = 1e10, .rates = {{"", 5e11, 0}}, .layer_s = 1e-4};
  const auto fits = FitTimeModels(Made(truth));
  CHECK(fits[0].worst_error < 0.01);
  CHECK(fits[0].model.rates.at(0).operations_s == doctest::Approx(5e11).epsilon(0.02));
  const std::string text = TimeModelText(fits);
  CHECK(text.find("500") != std::string::npos);
  CHECK(text.find("max") != std::string::npos);
}

TEST_CASE("time model: too few cells for a fit") {
  auto models = Made({.read_bytes_s = 1e10, .rates = {{"", 5e11, 0}}, .layer_s = 1e-4});
  models.resize(1);
  models[0].cells.resize(3);
  CHECK(FitTimeModels(models).empty());
  CHECK(FitTimeModels({}).empty());
}

}  // namespace
}  // namespace crossover::bench
