#include "bench/predict/check.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/error.h"
#include "bench/predict/engine_predict.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

constexpr double kGiga = 1e9;

TEST_CASE("published speeds: 97 rows, each of a known machine and model, with a source") {
  const Published published = LoadPublished();
  std::set<size_t> rows;
  for (const PublishedSpeed& speed : published.speeds) {
    CAPTURE(speed.row);
    rows.insert(speed.row);
    CHECK(published.FindMachine(speed.machine) != nullptr);
    CHECK((speed.model == "several" || published.FindModel(speed.model) != nullptr));
    CHECK_FALSE(speed.source.empty());
  }
  CHECK(rows.size() == 97);
  CHECK(*rows.rbegin() == 97);
  const PublishedMachine* pi = published.FindMachine("raspberry-pi-5");
  CHECK(pi->ReadBytesPerSecond(2) == doctest::Approx(13.2e9));
  CHECK(pi->ReadBytesPerSecond(3) == doctest::Approx(13.2e9));
  CHECK(pi->ReadBytesPerSecond(8) == doctest::Approx(11.6e9));
}

TEST_CASE("published speeds: a size that is not stated is that of others of the format") {
  for (const PublishedSpeed& speed : LoadPublished().speeds) {
    if (speed.row != 6) continue;
    CHECK(speed.file_estimated);
    CHECK(speed.file_bytes == doctest::Approx(354e6 * 6.59 / 8.03).epsilon(0.01));
    return;
  }
  FAIL("row 6 is not there");
}

TEST_CASE("formats that kernels treat alike are one") {
  CHECK(FormatClass("Q4_K_M") == "Q4_K");
  CHECK(FormatClass("Q4_K_S") == "Q4_K");
  CHECK(FormatClass("Q6_K") == "Q6_K");
  CHECK(FormatClass("BF16") == "F16");
  CHECK(FormatClass("IQ2_M") == "IQ2_M");
  CHECK(FormatClass("Q8_0") == "Q8_0");
}

/// Machines whose speeds follow a profile exactly: what is left out must be predicted from the
/// rest.
Published MadeUp(const EngineProfile& truth) {
  Published published;
  published.models = {{.name = "small", .parameters = 1e9, .layers = 16},
                      {.name = "large", .parameters = 8e9, .layers = 32}};
  struct Numbers {
    double read, clock, simd;
    size_t threads;
  };
  const Numbers machines[] = {
      {10, 2, 256, 4}, {60, 5, 512, 2}, {120, 3.5, 512, 4}, {40, 4, 512, 6}};
  for (const Numbers& n : machines) {
    published.machines.push_back({.name = "m" + std::to_string(published.machines.size()),
                                  .read_kind = PublishedMachine::ReadKind::kMeasured,
                                  .read = {{n.threads, n.read * kGiga}},
                                  .cores = n.threads,
                                  .clock_hz = n.clock * kGiga,
                                  .simd_bits = n.simd});
    for (const PublishedModel& model : published.models) {
      for (const auto& [key, cycles] : truth.unpack) {
        PublishedSpeed speed{.machine = published.machines.back().name,
                             .engine = key.first,
                             .model = model.name,
                             .format = key.second,
                             .file_bytes = model.parameters * (key.second == "Q8_0" ? 1.06 : 0.4),
                             .threads = n.threads,
                             .prefill_threads = n.threads,
                             .source = "made up"};
        SpeedCase c = CaseOf(published, speed, SpeedTest::kDecode);
        speed.decode_tok_s = 1 / truth.Decode(c)->seconds;
        speed.prefill_tok_s = 1 / *truth.Prefill(c);
        published.speeds.push_back(speed);
      }
    }
  }
  return published;
}

TEST_CASE(
    "a machine that the profile was not fitted to is predicted where all follow one profile") {
  EngineProfile truth{.share = 0.9, .overlap = 2, .layer_cycles = 2e4};
  truth.unpack = {{{"e", "Q8_0"}, 0.03}, {{"e", "IQ3_S"}, 0.3}};
  truth.multiply = {{{"e", "Q8_0"}, 0.02}, {{"e", "IQ3_S"}, 0.05}};
  const SpeedCheck check = CheckPublished(MadeUp(truth));
  CHECK(check.profile.share == doctest::Approx(0.9));
  CHECK(check.profile.overlap == doctest::Approx(2));
  CHECK(check.profile.unpack.at({"e", "IQ3_S"}) == doctest::Approx(0.3).epsilon(0.05));
  REQUIRE(check.speeds.size() == 32);
  for (const CheckedSpeed& s : check.speeds) {
    CAPTURE(s.speed.machine);
    CAPTURE(s.speed.format);
    REQUIRE(s.predicted_tok_s);
    CHECK(s.error() < 0.05);
    CHECK(s.low_tok_s <= *s.predicted_tok_s * 1.05);
    CHECK(s.high_tok_s >= *s.predicted_tok_s * 0.95);
  }
}

TEST_CASE("a row's interval knows nothing of its own machine") {
  EngineProfile truth;
  truth.unpack = {{{"e", "Q8_0"}, 0.03}};
  truth.multiply = {{{"e", "Q8_0"}, 0.02}};
  Published published = MadeUp(truth);
  // Enough machines that the others are five rows and more; one is out of step.
  for (const double clock : {2.5, 3.0}) {
    PublishedMachine machine = published.machines.front();
    machine.name = clock < 3 ? "slower" : "faster";
    machine.clock_hz = clock * kGiga;
    published.machines.push_back(machine);
    for (const PublishedModel& model : published.models) {
      PublishedSpeed speed = published.speeds.front();
      speed.machine = machine.name;
      speed.model = model.name;
      speed.file_bytes = model.parameters * 1.06;
      speed.decode_tok_s = 1 / truth.Decode(CaseOf(published, speed, SpeedTest::kDecode))->seconds;
      speed.prefill_tok_s = 1 / *truth.Prefill(CaseOf(published, speed, SpeedTest::kPrefill));
      published.speeds.push_back(speed);
    }
  }
  for (PublishedSpeed& speed : published.speeds) {
    if (speed.machine == "m3") *speed.decode_tok_s *= 3;
  }
  for (const CheckedSpeed& s : CheckPublished(published).speeds) {
    if (s.test != SpeedTest::kDecode || s.speed.machine != "m3") continue;
    REQUIRE(s.has_interval());
    CHECK_FALSE(s.inside());
    CHECK(s.high_tok_s < 1.5 * *s.predicted_tok_s);
  }
}

TEST_CASE("what no other machine shows is not predicted, and why") {
  EngineProfile truth;
  truth.unpack = {{{"e", "Q8_0"}, 0.03}};
  truth.multiply = {{{"e", "Q8_0"}, 0.02}};
  Published published = MadeUp(truth);
  published.speeds.resize(2);  // of one machine
  for (const CheckedSpeed& s : CheckPublished(published).speeds) {
    CHECK_FALSE(s.predicted_tok_s);
    CHECK(s.why_not == "no other machine ran this engine and format");
  }
  published = MadeUp(truth);
  published.machines[1].clock_hz = 0;
  published.machines[2].read.clear();
  published.machines[2].read_kind = PublishedMachine::ReadKind::kNone;
  const SpeedCheck check = CheckPublished(published);
  size_t taken = 0;
  for (const CheckedSpeed& s : check.speeds) {
    if (s.speed.machine == "m1") CHECK(s.why_not.starts_with("clock"));
    if (s.speed.machine == "m2") CHECK(s.rate_kind == RateKind::kDerived);
    taken += s.why_not == "the machine's rate is taken from it" ? 1 : 0;
  }
  CHECK(taken == 1);
}

TEST_CASE("machines that are a control are predicted, but neither fitted nor counted") {
  EngineProfile truth;
  truth.unpack = {{{"e", "Q8_0"}, 0.03}};
  truth.multiply = {{{"e", "Q8_0"}, 0.02}};
  Published published = MadeUp(truth);
  published.machines[3].control = "strange";
  for (PublishedSpeed& speed : published.speeds) {
    if (speed.machine == "m3") *speed.decode_tok_s /= 10;
  }
  const SpeedCheck check = CheckPublished(published);
  for (const CheckedSpeed& s : check.speeds) {
    if (s.test == SpeedTest::kPrefill) continue;
    REQUIRE(s.predicted_tok_s);
    CHECK((s.error() > 5) == (s.speed.machine == "m3"));
  }
  CHECK(check.summaries.front().rows == 6);
  CHECK(check.summaries.front().worst_error < 0.05);
}

// The figures that docs/method.md states for the collection.
TEST_CASE("published speeds are predicted as well as the documentation says") {
  const Published published = LoadPublished();
  const SpeedCheck check = CheckPublished(published);
  const CheckSummary& measured = check.summaries.front();
  CHECK(measured.rate_kind == RateKind::kMeasured);
  CHECK(measured.rows >= 13);
  CHECK(measured.median_error < 0.1);
  CHECK(measured.p90_error < 0.25);
  // Intervals that are worth their name hold some eight of ten speeds that they know nothing of.
  size_t inside = 0;
  size_t judged = 0;
  for (const CheckSummary& s : check.summaries) {
    inside += s.inside;
    judged += s.with_interval;
  }
  CHECK(judged > 100);
  CHECK(inside > judged * 65 / 100);
  CHECK(inside < judged * 95 / 100);
  const nlohmann::json json = CheckJson(check);
  CHECK(json.at("summaries").at(0).contains("inside"));
  CHECK(json.at("speeds").size() == check.speeds.size());
  CHECK(CheckCsv(check).find("raspberry-pi-5") != std::string::npos);
  CHECK(CheckTable(check).find("Not predicted") != std::string::npos);
  CHECK(CheckPlot(check).series.size() >= 3);
}

TEST_CASE("another engine on a machine of the collection") {
  const Published published = LoadPublished();
  const SpeedCheck check = CheckPublished(published);
  const ModelWork model =
      WorkOfShape(engine::FindSynthShape("llama-3.1-8b"), quant::FindRecipe("Q4_K_S"));
  EngineQuestion question{.engine = "llama.cpp", .machine = "m2-max", .threads = 4};
  const auto rows = PredictEngine(published, check, question, {&model, 1});
  REQUIRE(rows.size() == 2);
  // Row 43 has 17.55 tokens a second.
  CHECK(rows[1].tok_s == doctest::Approx(17.55).epsilon(0.15));
  CHECK(rows[1].low_tok_s < rows[1].tok_s);
  CHECK(rows[1].tok_s < rows[1].high_tok_s);
  // At twice the rate a token is never slower, and not twice as fast: unpacking stays.
  question.read_bytes_s = 2 * rows[1].read_bytes_s;
  const auto faster = PredictEngine(published, check, question, {&model, 1});
  CHECK(faster[1].tok_s > rows[1].tok_s);
  CHECK(faster[1].tok_s < 2 * rows[1].tok_s);
  CHECK(EngineJson(question, rows).at("predictions").size() == 2);
  CHECK(EngineTable(question, rows).find("A PREDICTION") != std::string::npos);
  CHECK(EngineCsv(question, rows).find("m2-max") != std::string::npos);

  const auto refused = [&](const EngineQuestion& q) {
    try {
      PredictEngine(published, check, q, {&model, 1});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refused({.engine = "nobody", .machine = "m2-max"}).find("ik_llama.cpp") !=
        std::string::npos);
  CHECK(refused({.engine = "llama.cpp", .machine = "nowhere"}).find("raspberry-pi-5") !=
        std::string::npos);
  CHECK(refused({.engine = "llama.cpp", .machine = "i5-9500"}).find("--bandwidth") !=
        std::string::npos);
  CHECK(refused({.engine = "mistral.rs", .machine = "m2-max"}).empty());
}

}  // namespace
}  // namespace crossover::bench
