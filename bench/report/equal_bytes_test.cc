#include "bench/report/equal_bytes.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "bench/report/equal_bytes_report.h"
#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

struct Made {
  const char* model;
  uint64_t parameters;
  double bits;
  double loss;
};

/// Losses of each cell's chunks: its own loss, what makes a chunk hard for all, and a little that
/// is the cell's alone.
std::vector<CellRecord> Records(const std::vector<Made>& cells, double own_noise = 0.001,
                                size_t chunks = 20) {
  std::vector<CellRecord> records;
  for (size_t i = 0; i < cells.size(); ++i) {
    const Made& made = cells[i];
    CellRecord record = MakeRecord({.model = made.model,
                                    .recipe = fmt::format("B{}", made.bits),
                                    .parameters = made.parameters,
                                    .bpw = made.bits,
                                    .ppl = std::exp(made.loss),
                                    .ppl_stderr = 3});
    auto& nll = record.measurement->perplexity->chunk_nll;
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      const auto at = static_cast<double>(chunk);
      const double hard = 0.3 * std::sin(2.4 * at);
      nll.push_back(made.loss + hard + own_noise * std::sin(1 + 7.1 * at + static_cast<double>(i)));
    }
    records.push_back(record);
  }
  return records;
}

/// At 4 bits and above the larger one is better by 0.3; at 2 it is worse by 0.5. The smaller one
/// loses nothing down to 4 bits.
const std::vector<Made> kCrossing{{"small", 1'000'000, 16, 4.3}, {"small", 1'000'000, 8, 4.3},
                                  {"small", 1'000'000, 4, 4.3},  {"large", 4'000'000, 16, 4.0},
                                  {"large", 4'000'000, 4, 4.0},  {"large", 4'000'000, 2, 4.8},
                                  {"large", 4'000'000, 1, 5.6}};

TEST_CASE("where two curves cross, and how sure the chunks make it") {
  const EqualBytes equal = CompareCurves(Points(Records(kCrossing)));
  REQUIRE(equal.pairs.size() == 1);
  const BreakEven& pair = equal.pairs[0];
  CHECK(pair.size_ratio == 4);
  CHECK(pair.found());
  // Both could spend 0.5 to 2 MB: 1 to 4 bits of the larger one. Its loss falls from 4.8 to 4.0
  // over the logarithm of the bytes between 2 and 4 bits, and is 4.3 at 5/8 of the way.
  CHECK(pair.fewest == doctest::Approx(1));
  CHECK(pair.most == doctest::Approx(4));
  CHECK(pair.bits == doctest::Approx(2 * std::pow(2, 0.625)).epsilon(0.01));
  CHECK(pair.smaller_bits == doctest::Approx(4 * pair.bits).epsilon(0.01));
  REQUIRE(pair.interval.has_value());
  CHECK(pair.interval->low < pair.bits);
  CHECK(pair.bits < pair.interval->high);
  // Chunks differ by far more than models do, but all cells meet the same ones.
  CHECK(pair.interval->high - pair.interval->low < 0.05);
  REQUIRE(equal.threshold.has_value());
  CHECK(equal.threshold->low == pair.interval->low);

  REQUIRE(equal.cells.size() == 3);  // 4, 2 and 1 bits; of 16 bits the smaller one has no such file
  CHECK(equal.cells[0].better() == Better::kLarger);
  CHECK(equal.cells[0].log_ratio == doctest::Approx(-0.3));
  CHECK(equal.cells[1].better() == Better::kSmaller);
  CHECK(equal.cells[2].better() == Better::kSmaller);

  const std::string text = ThresholdText(equal);
  CHECK(test::Contains(text, "4.00 times the parameters"));
  CHECK(test::Contains(text, "Threshold, the most bits of these: 3.0"));
  const SectionTable map = EqualBytesMap(equal);
  REQUIRE(map.rows.size() == 3);
  CHECK(test::Contains(map.rows[0][1], "▲ −26 %"));
  CHECK(map.tones[0][1] == Tone::kGood);
  CHECK(map.tones[1][1] == Tone::kBad);
  CHECK(BreakEvenTable(equal).rows.size() == 1);
}

TEST_CASE("more noise makes a wider interval, and undecided fields") {
  const auto width = [](double noise) {
    const EqualBytes equal = CompareCurves(Points(Records(kCrossing, noise)));
    return equal.pairs[0].interval->high - equal.pairs[0].interval->low;
  };
  CHECK(width(0.3) > 5 * width(0.01));
  auto close = kCrossing;
  close[4].loss = 4.299;
  const EqualBytes equal = CompareCurves(Points(Records(close, 0.1)));
  CHECK(equal.cells[0].better() == Better::kUnsure);
  CHECK(EqualBytesMap(equal).tones[0][1] == Tone::kEven);
}

TEST_CASE("a report made again is the same") {
  const auto records = Records(kCrossing, 0.2);
  CHECK(EqualBytesMap(CompareCurves(Points(records))).rows ==
        EqualBytesMap(CompareCurves(Points(records))).rows);
}

TEST_CASE("a larger model that never loses, and one that always does") {
  auto cells = kCrossing;
  cells[5].loss = cells[6].loss = 4.1;
  EqualBytes equal = CompareCurves(Points(Records(cells)));
  CHECK_FALSE(equal.pairs[0].found());
  CHECK(test::Contains(ThresholdText(equal), "nowhere down to 1.00 BPW"));
  CHECK(test::Contains(ThresholdText(equal), "none down to the fewest"));
  for (size_t i = 3; i < cells.size(); ++i) cells[i].loss = 5;
  equal = CompareCurves(Points(Records(cells)));
  CHECK(equal.pairs[0].bits == equal.pairs[0].most);
  CHECK(test::Contains(ThresholdText(equal), "not the better one at up to 4.00 BPW"));
}

TEST_CASE("files that are worse than smaller ones of their model are no part of its curve") {
  auto cells = kCrossing;
  cells.push_back({"large", 4'000'000, 3.9, 9.0});
  const EqualBytes equal = CompareCurves(Points(Records(cells)));
  CHECK(equal.pairs[0].bits < 3.2);
  // But it is on the map, as what it is.
  REQUIRE(equal.cells.size() == 4);
  CHECK(equal.cells[1].better() == Better::kSmaller);
}

TEST_CASE("records without their chunks' losses are compared by standard errors") {
  auto records = Records(kCrossing);
  records[2].measurement->perplexity->chunk_nll.clear();
  const EqualBytes equal = CompareCurves(Points(records));
  CHECK(equal.chunks == 0);
  CHECK_FALSE(equal.pairs[0].interval.has_value());
  CHECK(equal.pairs[0].found());
  const Interval interval = equal.cells[0].interval;
  CHECK(interval.low < equal.cells[0].log_ratio);
  CHECK(equal.cells[0].log_ratio < interval.high);
  CHECK(test::Contains(EqualBytesClaim(equal, records).sample, "do not hold"));
}

TEST_CASE("the claim counts what would refute it") {
  const auto records = Records(kCrossing);
  const EqualBytes equal = CompareCurves(Points(records));
  const Claim claim = EqualBytesClaim(equal, records);
  CHECK(test::Contains(claim.said, "v5"));
  CHECK(test::Contains(claim.sample, "2 models in 5 recipes"));
  CHECK(test::Contains(claim.refuted, "loses (▼): 0 of 1 file."));
  CHECK(test::Contains(claim.refuted, "leaves it out: 1 of 1 pair."));  // 3.1 is not 3.5
}

TEST_CASE("records that no text makes do not confuse it") {
  auto records = Records(kCrossing);
  records[1].measurement->file_bytes = 0;
  records[3].measurement->effective_bpw = std::nan("");
  records[5].measurement->perplexity->chunk_nll[3] = 1e300;
  const EqualBytes equal = CompareCurves(Points(records));
  CHECK(equal.chunks == 0);
  CHECK(equal.pairs.size() == 1);
}

TEST_CASE("one model alone has nothing to be held against") {
  const EqualBytes equal =
      CompareCurves(Points(Records({{"small", 1'000'000, 8, 4.0}, {"small", 1'000'000, 4, 4.1}})));
  CHECK(equal.cells.empty());
  CHECK(equal.pairs.empty());
  CHECK(test::Contains(ThresholdText(equal), "n/a"));
}

}  // namespace
}  // namespace crossover::bench
