#include "bench/report/findings.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

/// A small model of 1 M and a large one of 4 M parameters, each at 16, 8, 4 and 2 bits. Equal
/// bytes: large at 2 against small at 8 and 16, large at 4 against small at 16.
std::vector<CellRecord> TwoModels(const std::vector<double>& small_ppl,
                                  const std::vector<double>& large_ppl, double ppl_stderr = 0.1) {
  std::vector<CellRecord> records;
  const std::vector<double> bits{16, 8, 4, 2};
  for (size_t i = 0; i < bits.size(); ++i) {
    const std::string recipe = fmt::format("B{}", bits[i]);
    records.push_back(MakeRecord({.model = "small",
                                  .recipe = recipe,
                                  .parameters = 1'000'000,
                                  .bpw = bits[i],
                                  .ppl = small_ppl[i],
                                  .ppl_stderr = ppl_stderr}));
    records.push_back(MakeRecord({.model = "large",
                                  .recipe = recipe,
                                  .parameters = 4'000'000,
                                  .bpw = bits[i],
                                  .ppl = large_ppl[i],
                                  .ppl_stderr = ppl_stderr}));
  }
  return records;
}

TEST_CASE("equal bytes: a larger model that always wins") {
  const auto points = Points(TwoModels({50, 51, 52, 60}, {30, 31, 32, 40}));
  const IsoSize iso = CompareAtEqualBytes(points, false);
  CHECK(iso.pairs == 3);
  CHECK(iso.wins == iso.pairs);
  REQUIRE(iso.lowest_winner.has_value());
  CHECK(iso.lowest_winner->recipe == "B2");
  CHECK_FALSE(iso.highest_loser.has_value());
  const std::string text = IsoSizeText(points);
  CHECK(test::Contains(text, "the larger model is the better use of the bytes throughout"));
  CHECK(test::Contains(text, "2.00 BPW (large B2)"));
  CHECK(test::Contains(text, "loses none"));
}

TEST_CASE("equal bytes: a larger model that always loses") {
  const auto points = Points(TwoModels({50, 51, 52, 60}, {70, 71, 72, 80}));
  const IsoSize iso = CompareAtEqualBytes(points, false);
  CHECK(iso.losses == iso.pairs);
  CHECK_FALSE(iso.lowest_winner.has_value());
  CHECK(iso.highest_loser->recipe == "B4");
  const std::string text = IsoSizeText(points);
  CHECK(test::Contains(
      text, "the smaller, more precise model is the better use of the bytes throughout"));
  CHECK_FALSE(test::Contains(text, "the larger model is the better"));
  CHECK(test::Contains(text, "still loses one are 4.00 BPW (large B4)"));
}

TEST_CASE("equal bytes: a threshold between four and two bits, and errors that make ties") {
  // At 2 bits the large model falls apart.
  const auto records = TwoModels({50, 51, 52, 60}, {30, 31, 32, 400});
  const IsoSize iso = CompareAtEqualBytes(Points(records), false);
  CHECK(iso.wins == 1);
  CHECK(iso.losses == 2);
  CHECK(iso.lowest_winner->recipe == "B4");
  CHECK(iso.highest_loser->recipe == "B2");
  CHECK(test::Contains(IsoSizeText(Points(records)), "mostly the better use"));

  const IsoSize ties =
      CompareAtEqualBytes(Points(TwoModels({50, 51, 52, 60}, {49, 49, 49, 49}, 20)), false);
  CHECK(ties.wins == 0);
  CHECK(ties.losses == 0);
  CHECK(ties.ties() == 3);
}

TEST_CASE("one model alone allows no comparison") {
  CHECK(test::Contains(IsoSizeText(Points(std::vector<CellRecord>{MakeRecord({})})),
                       "No two measured cells"));
}

/// One model whose decode time a token is `seconds(bits)`.
template <class Seconds>
std::vector<CellRecord> Timed(const Seconds& seconds) {
  std::vector<CellRecord> records;
  for (const double bits : {2.0, 4.0, 6.0, 8.0, 16.0}) {
    records.push_back(MakeRecord({.recipe = fmt::format("B{}", bits),
                                  .bpw = bits,
                                  .decode = 1 / seconds(bits),
                                  .rss_bytes = 1e6 * bits}));
  }
  return records;
}

TEST_CASE("linear and not linear are told apart by R²") {
  const auto line = Points(Timed([](double bits) { return 0.001 + 0.002 * bits; }));
  CHECK(FitAgainstBits(line, Quantity::kDecodeSeconds)[0].fit.r_squared == doctest::Approx(1));
  CHECK(test::Contains(LinearityText(line), "Decode time a token is linear in BPW for small"));
  CHECK(test::Contains(LinearityText(line), "+2000 µs a bit"));

  const auto jagged =
      Points(Timed([](double bits) { return bits == 4 || bits == 8 ? 0.05 : 0.01; }));
  CHECK(test::Contains(LinearityText(jagged), "Decode time a token is not linear for small"));
  CHECK(test::Contains(LinearityText(jagged), "File size is linear in BPW for small"));
}

TEST_CASE("two cells are no fit") {
  auto records = Timed([](double bits) { return bits; });
  records.resize(2);
  CHECK(test::Contains(LinearityText(Points(records)), "cannot be fitted"));
}

/// Three models whose decode takes the given shares of its time for moving weights.
std::vector<CellRecord> Shares(double a, double b, double c) {
  const auto made = [](const char* model, uint64_t parameters, double share) {
    return MakeRecord(
        {.model = model, .parameters = parameters, .decode = 100, .decode_limit = 100 / share});
  };
  return {made("a", 1'000'000, a), made("b", 2'000'000, b), made("c", 3'000'000, c)};
}

TEST_CASE("the trend of communication is told in its direction") {
  const std::string rising = BandwidthText(Points(Shares(0.1, 0.3, 0.6)), 0);
  CHECK(test::Contains(rising, "it grows with the model, as the claim has it"));
  CHECK(test::Contains(rising, "larger part for c only"));
  const std::string falling = BandwidthText(Points(Shares(0.4, 0.3, 0.2)), 0);
  CHECK(test::Contains(falling, "against the claim"));
  CHECK(
      test::Contains(falling, "computation and fixed costs take the larger part for every model"));
  const std::string mixed = BandwidthText(Points(Shares(0.6, 0.9, 0.7)), 0);
  CHECK(test::Contains(mixed, "no single direction"));
  CHECK(test::Contains(mixed, "moving weights takes the larger part for every model"));
}

TEST_CASE("weights that come from a cache are called that, and judge nothing") {
  const std::string above = BandwidthText(Points(Shares(0.5, 0.8, 1.4)), 1000);
  CHECK(test::Contains(above, "1 of the cells run faster than memory could deliver"));
  CHECK(test::Contains(above, "as the claim has it"));
  const std::string cached = BandwidthText(Points(Shares(0.5, 0.6, 0.7)), 1u << 30);
  CHECK(test::Contains(cached, "largest cache (1024 MiB)"));
  CHECK(test::Contains(cached, "it grows with the model."));
  CHECK_FALSE(test::Contains(cached, "as the claim has it"));
  CHECK_FALSE(test::Contains(cached, "larger part"));
}

TEST_CASE("without a measured bandwidth nothing is claimed") {
  CellRecord record = MakeRecord({});
  record.measurement->speed->decode.limit.reset();
  CHECK(test::Contains(BandwidthText(Points(std::vector<CellRecord>{record}), 0),
                       "was not measured"));
}

TEST_CASE("mean accuracy takes one metric a task and carries the errors") {
  const auto mean = MeanAccuracy(*MakeRecord({.accuracy = 0.4}).measurement);
  REQUIRE(mean.has_value());
  CHECK(mean->value == doctest::Approx(0.4));  // acc_norm is left out
  CHECK(mean->standard_error == doctest::Approx(std::hypot(0.05, 0.05) / 2));
}

TEST_CASE("the paragraph is one, names the claims, and says when there is nothing") {
  const std::string text = FindingsParagraph(TwoModels({50, 51, 52, 60}, {30, 31, 32, 40}));
  CHECK(test::Contains(text, "(1)"));
  CHECK(test::Contains(text, "(2)"));
  CHECK(test::Contains(text, "(3)"));
  CHECK_FALSE(test::Contains(text, "\n"));
  CHECK(test::Contains(FindingsParagraph(std::vector<CellRecord>{MakeFailure("m", "Q2_K", "x")}),
                       "No cell has a measurement"));
}

}  // namespace
}  // namespace crossover::bench
