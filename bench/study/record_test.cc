#include "bench/study/record.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/study/test_records.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

using nlohmann::json;

TEST_CASE("a record survives the way through JSON, measured, failed and without speed") {
  const CellRecord measured = MakeRecord({});
  CellRecord partly = MakeRecord({});
  partly.measurement->speed.reset();
  partly.measurement->tasks.clear();
  partly.machine.limits = {};
  CellRecord strayed = MakeRecord({});
  strayed.measurement->perplexity->chunk_nll = {3.5, 4.25};
  strayed.measurement->source = SourceRecord{"Q4_1", 5.7, true};
  strayed.measurement->perplexity->divergence = DivergenceRecord{0.0125, 0.0005, 0.91};
  CHECK(json(strayed).at("measurement").at("perplexity").at("divergence").at("kld") == 0.0125);
  for (const CellRecord& record :
       {measured, partly, strayed, MakeFailure("small", "Q2_K", "killed by signal 9")}) {
    const json first = record;
    CHECK(json(first.get<CellRecord>()) == first);
  }
  CHECK(json(measured).at("status") == "ok");
  CHECK(json(MakeFailure("small", "Q2_K", "x")).at("status") == "failed");
  CHECK(json(measured).at("measurement").at("decode").at("samples_tok_s").size() == 3);
  CHECK(json(measured).at("measurement").at("decode").at("tok_s").at("median") == 100);
}

TEST_CASE("what was appended is read back, and only successes count as finished") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "results.jsonl";
  {
    ResultsFile file(path);
    file.Append(MakeRecord({.recipe = "Q8_0"}));
    file.Append(MakeFailure("small", "Q2_K", "out of memory\nreally"));
  }
  ResultsFile file(path);
  REQUIRE(file.records().size() == 2);
  CHECK(file.Finished("key-of-small/Q8_0"));
  CHECK_FALSE(file.Finished("key-of-small/Q2_K"));
  CHECK(file.records()[1].error == "out of memory\\x0areally");
}

TEST_CASE("a last line that a crash cut is dropped, wherever it was cut") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "results.jsonl";
  {
    ResultsFile file(path);
    file.Append(MakeRecord({.recipe = "Q8_0"}));
  }
  const std::string whole = ReadFile(path);
  for (const size_t cut : {size_t{1}, whole.size() / 2, whole.size() - 1}) {
    WriteFile(path, whole + whole.substr(0, cut));
    CHECK(ReadRecords(path).size() == 1);
    ResultsFile file(path);
    CHECK(file.records().size() == 1);
    file.Append(MakeRecord({.recipe = "Q2_K"}));
    CHECK(ReadRecords(path).size() == 2);
  }
}

TEST_CASE("a broken line before the last is an error that names it") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "results.jsonl";
  WriteFile(path,
            json(MakeRecord({})).dump() + "\n{\"cell\": 1}\n" + json(MakeRecord({})).dump() + "\n");
  try {
    (void)ReadRecords(path);
    FAIL("read");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCorruptFile);
    CHECK(std::string(error.what()).find("results.jsonl:2:") != std::string::npos);
  }
}

TEST_CASE("brackets without end are an error that names the line") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "results.jsonl";
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  WriteFile(path, json(MakeRecord({})).dump() + "\n{\"cell\":" + deep + "}\n");
  try {
    (void)ReadRecords(path);
    FAIL("read");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCorruptFile);
    CHECK(std::string(error.what()).find("results.jsonl:2: brackets are nested") !=
          std::string::npos);
  }
}

TEST_CASE("a figure that is no number is read back as one") {
  CellRecord record = MakeRecord({});
  record.measurement->perplexity =
      PerplexityRecord{.ppl = std::nan(""), .ppl_stderr = std::nan("")};
  record.measurement->tasks = {{.task = "t", .metric = "acc", .value = std::nan(""), .n = 1}};
  const auto back = json::parse(json(record).dump()).get<CellRecord>();
  CHECK(std::isnan(back.measurement->perplexity->ppl));
  CHECK(std::isnan(back.measurement->tasks.at(0).value));
}

TEST_CASE("two studies cannot write one file") {
  const test::TemporaryDirectory directory;
  const ResultsFile first(directory / "results.jsonl");
  CHECK_THROWS_AS(ResultsFile(directory / "results.jsonl"), Error);
}

TEST_CASE("processes that share a file see each other's records and claims") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "results.jsonl";
  using enum ResultsFile::Access;
  size_t alone = 0;
  const auto count = [&](const ResultsFile&) { ++alone; };
  {
    const ResultsFile made(path, kShared, count);
    CHECK(alone == 0);  // there is nothing to clear up yet
  }
  ResultsFile first(path, kShared, count);
  ResultsFile second(path, kShared, count);
  CHECK(alone == 1);
  CHECK_THROWS_AS(ResultsFile(path, kAlone), Error);
  CHECK(first.Claim(0));
  CHECK_FALSE(second.Claim(0));
  CHECK(second.Claim(1));
  first.Append(MakeRecord({.recipe = "Q8_0"}));
  CHECK_FALSE(second.Finished("key-of-small/Q8_0"));
  second.Append(MakeRecord({.recipe = "Q2_K"}));
  CHECK(second.Finished("key-of-small/Q8_0"));
  first.Refresh();
  CHECK(first.records().size() == 2);
  CHECK(ReadRecords(path).size() == 2);
  first.Release(0);
  CHECK(second.Claim(0));
}

TEST_CASE("a claim falls free when its holder goes") {
  const test::TemporaryDirectory directory;
  const auto path = directory / "results.jsonl";
  ResultsFile stays(path, ResultsFile::Access::kShared);
  {
    ResultsFile goes(path, ResultsFile::Access::kShared);
    CHECK(goes.Claim(7));
    CHECK_FALSE(stays.Claim(7));
  }
  CHECK(stays.Claim(7));
}

TEST_CASE("a retried cell counts once, by its last record, in its first place") {
  std::vector<CellRecord> records{MakeFailure("small", "Q2_K", "crashed"),
                                  MakeRecord({.recipe = "Q8_0"}), MakeRecord({.recipe = "Q2_K"})};
  const auto latest = LatestRecords(records);
  REQUIRE(latest.size() == 2);
  CHECK(latest[0].recipe == "Q2_K");
  CHECK(latest[0].ok());
}

}  // namespace
}  // namespace crossover::bench
