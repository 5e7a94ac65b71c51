#include "bench/model/pass_products.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/data_path.h"
#include "base/error.h"
#include "bench/crossover/crossover_run.h"
#include "bench/machine/system.h"
#include "bench/model/model.h"
#include "bench/model/resident_weights.h"
#include "engine/model/matrices.h"
#include "kernels/isa.h"
#include "kernels/packed/pack.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

std::filesystem::path EmbeddedXs() { return DataPath("models/reference-xs.gguf"); }

TEST_CASE("resident weights: one piece, mapped again and again") {
  const ResidentWeights weights(1'000'000, 10'000);
  REQUIRE(weights.bytes() >= 1'000'000);
  const std::byte first = weights.data()[0];
  CHECK(first != std::byte{0});
  CHECK(std::all_of(weights.data(), weights.data() + weights.bytes(),
                    [=](std::byte b) { return b == first; }));
  // 10,000 bytes are three pages of 4 KiB; larger pages make the piece one of them.
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t piece = (10'000 + page - 1) / page * page;
  REQUIRE(weights.bytes() > 2 * piece);
  const_cast<std::byte*>(weights.data())[5] = std::byte{1};
  CHECK(weights.data()[piece + 5] == std::byte{1});
  CHECK(weights.data()[2 * piece + 5] == std::byte{1});
  CHECK(weights.data()[6] == first);
}

TEST_CASE("resident weights: the piece is a part of a cache, in whole pages") {
  MachineInfo machine;
  CHECK(ChooseResidentPiece(machine).bytes > 0);
  machine.caches = {{.level = 1, .type = "Data", .bytes = 64 << 10, .sharers = 1}};
  CHECK(ChooseResidentPiece(machine).bytes <= 64 << 10);
  CHECK(std::string(ChooseResidentPiece(machine).cache) == "L1");
  machine.caches.push_back({.level = 2, .type = "Unified", .bytes = 2 << 20, .sharers = 1});
  CHECK(ChooseResidentPiece(machine).bytes == 512 << 10);
  CHECK(std::string(ChooseResidentPiece(machine).cache) == "L2");
}

TEST_CASE("pass products: the same on the same weights elsewhere, and all weights are read") {
  const auto model = engine::Model::Load(EmbeddedXs());
  engine::Weights copy = model->weights();
  std::vector<std::vector<std::byte>> data;
  std::set<const void*> rebound;
  ForEachMatrix(copy, [&](kernels::Matrix& matrix) {
    const auto* from = static_cast<const std::byte*>(matrix.data);
    data.emplace_back(from, from + kernels::StoredBytes(matrix));
    matrix.data = data.back().data();
    rebound.insert(matrix.data);
  });
  CHECK(rebound.size() == 7 * model->config().layers + 1);
  double bytes = 0;
  for (const auto& matrix : data) bytes += static_cast<double>(matrix.size());
  CHECK(StreamBytes(model->weights()) == bytes);

  PassProducts products(*model, kernels::Activations::kAuto, 20);
  kernels::Team team(2);
  const auto logits = [&](const engine::Weights& weights, size_t tokens) {
    products.Reset(tokens);
    team.Run([&](const kernels::Worker& worker) { products.Run(worker, weights); });
    return products.logits();
  };
  for (const size_t tokens : {size_t{1}, size_t{20}}) {
    const std::vector<float> here = logits(model->weights(), tokens);
    CHECK(here == logits(copy, tokens));
    // Every matrix counts: another number in the last one's last row shows.
    CHECK(std::ranges::any_of(here, [](float v) { return v != 0; }));
  }
  const std::vector<float> before = logits(copy, 1);
  for (size_t i : {size_t{0}, size_t{5}, data.size() - 2}) {
    std::ranges::fill(data[i], std::byte{0});
    const std::vector<float> after = logits(copy, 1);
    CAPTURE(i);
    // Queries, keys and values end in attention, which is left out.
    CHECK((after == before) == (i == 0));
  }
}

TEST_CASE("crossover: a cell for each number of tokens, every figure with its samples") {
  Settings settings;
  settings.threads = 2;
  settings.isa = std::string(kernels::SelectedIsa());
  const CrossoverMetric metric{.tokens = {1, 24}, .repetitions = 3};
  size_t steps = 0;
  const CrossoverModel model =
      MeasureCrossover(EmbeddedXs(), settings, metric, [&](size_t done, size_t total) {
        CHECK(done == ++steps);
        CHECK(total == 2);
      });
  CHECK(steps == 2);
  CHECK(model.format == "F16");
  CHECK(model.threads == 2);
  CHECK(model.resident_bytes > 0);
  REQUIRE(model.cells.size() == 2);
  for (const CrossoverCell& cell : model.cells) {
    for (const auto* samples : {&cell.pass_s, &cell.products_s, &cell.resident_s, &cell.stream_s}) {
      REQUIRE(samples->size() >= 3);  // more where others disturb it
      CHECK(samples->size() == cell.conditions.repetitions.size());
      for (const double seconds : *samples) CHECK(seconds > 0);
    }
    CHECK_FALSE(cell.kernel.empty());
    CHECK_FALSE(cell.unit.empty());
    CHECK(cell.bytes > 1e6);
  }
  CHECK(model.cells[1].operations > model.cells[0].operations);
  CHECK(model.cells[1].bytes == model.cells[0].bytes);
  CHECK_THROWS_AS(MeasureCrossover(EmbeddedXs(), settings, {.tokens = {}}, nullptr), Error);
}

TEST_CASE("crossover: bounds across sizes and across bits") {
  const auto model = [](const char* format, double bpw, uint64_t parameters, double b, double c) {
    CrossoverModel m{.model = "m.gguf", .format = format, .effective_bpw = bpw};
    m.parameters = parameters;
    m.cells = {{.tokens = 4, .pass_s = {9}, .products_s = {9}, .resident_s = {b}, .stream_s = {c}}};
    return m;
  };
  // Communication halves with the bits; a larger model has more of it.
  const std::vector<CrossoverModel> models{model("Q8_0", 8, 1'000'000'000, 4, 8),
                                           model("Q2_K", 2, 1'000'000'000, 4, 2),
                                           model("Q2_K", 2, 9'000'000'000, 4, 8)};
  const std::vector<BoundAcross> bounds = BoundsAcross(models);
  REQUIRE(bounds.size() == 2);
  for (const BoundAcross& bound : bounds) {
    REQUIRE(bound.change);
    const bool bits = bound.variable == "bits a weight";
    CHECK(*bound.change == doctest::Approx(bits ? 4 : 3000));
    CHECK(bound.what == (bits ? "1000 M parameters" : "Q2_K"));
  }
  CHECK(BoundsAcross(std::span(models).first(1)).empty());
  const std::string table = CrossoverTable(models);
  CHECK(table.find("4 tokens a pass: the bound changes at 3000 million parameters") !=
        std::string::npos);
  const std::string csv = CrossoverCsv(models);
  CHECK(std::ranges::count(csv, '\n') == 4);
}

}  // namespace
}  // namespace crossover::bench
