// The commands that measure, and the study from end to end.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/output_file.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ProcessResult;
using test::RunCrossover;

/// Of the undisturbed ones, unless they are fewer than half of those asked for.
double MedianOfKept(const std::vector<double>& samples, const json& conditions) {
  std::vector<double> kept;
  for (size_t i = 0; i < samples.size(); ++i) {
    const bool disturbed = conditions.at("repetitions").at(i).at("disturbed").get<bool>();
    if (!disturbed || conditions.at("disturbed").get<bool>()) kept.push_back(samples[i]);
  }
  std::ranges::sort(kept);
  return (kept[(kept.size() - 1) / 2] + kept[kept.size() / 2]) / 2;
}

TEST_CASE("bench model says what the contract asks, a row a model and test") {
  const ProcessResult result =
      RunCrossover({"bench", "model", test::EmbeddedXs(), test::EmbeddedXs(), "-p", "16", "-n", "4",
                    "-r", "3", "--threads", "1", "--json"});
  INFO(result.err);
  REQUIRE(result.ok());
  const json rows = json::parse(result.out);
  REQUIRE(rows.size() == 4);
  for (const json& row : rows) {
    const json& speed = row.at("tok_s");
    CHECK(speed.at("min") <= speed.at("median"));
    CHECK(speed.at("median") <= speed.at("max"));
    CHECK(speed.at("min").get<double>() > 0);
    CHECK(row.at("samples").size() >= 3);  // more where others disturb it
    CHECK(row.at("samples").size() <= 6);
    CHECK(row.at("conditions").at("repetitions").size() == row.at("samples").size());
    CHECK(row.at("conditions").at("disturbed") == row.at("disturbed"));
    CHECK(row.at("effective_bpw") == 16);
    CHECK(row.at("format") == "F16");
    CHECK(row.at("limit").at("value").get<double>() > 0);
    // Each repetition against the limit of its moment.
    auto fractions = row.at("fraction_samples").get<std::vector<double>>();
    REQUIRE(fractions.size() == row.at("samples").size());
    for (size_t i = 0; i < fractions.size(); ++i) {
      CHECK(fractions[i] == doctest::Approx(row.at("samples").at(i).get<double>() /
                                            row.at("limit").at("samples").at(i).get<double>()));
    }
    CHECK(row.at("fraction_of_limit").get<double>() ==
          doctest::Approx(MedianOfKept(fractions, row.at("conditions"))));
    // More than the embedding table, less than the machine.
    CHECK(row.at("peak_rss_bytes").get<double>() > 2e6);
    CHECK((row.at("energy_j_per_token").is_number() || !row.at("energy_reason").empty()));
  }
  CHECK(rows[0].at("test") == "prefill");
  CHECK(rows[0].at("tokens") == 16);
  CHECK(rows[1].at("test") == "decode");
}

TEST_CASE("bench model: lengths, depths, latencies, loading, memory, what the system counts") {
  std::vector<std::string> words{
      "bench", "model", test::EmbeddedXs(), "-p", "16,40", "-d", "0,33", "-n", "4",
      "-r",    "2",     "--threads",        "1"};
  const ProcessResult table = RunCrossover([&] {
    auto with_details = words;
    with_details.emplace_back("--details");
    return with_details;
  }());
  INFO(table.err);
  CHECK(test::Contains(table.out, "decode 4 @33"));
  CHECK(test::Contains(table.out, "cold load"));
  CHECK(test::Contains(table.out, "clock: "));
  words.emplace_back("--json");
  const json rows = json::parse(RunCrossover(words).out);
  REQUIRE(rows.size() == 4);
  for (const json& row : rows) {
    const bool prefill = row.at("test") == "prefill";
    const json& latency = row.at(prefill ? "ttft_ms" : "itl_ms");
    CHECK(latency.at("p50").get<double>() > 0);
    CHECK(latency.at("p50") <= latency.at("p90"));
    CHECK(latency.at("p90") <= latency.at("p99"));
    CHECK(latency.at("samples").get<int>() >= (prefill ? 2 : 8));
    CHECK(row.at("load").at("cold_seconds").get<double>() > 0);
    CHECK(row.at("load").at("warm_seconds").get<double>() > 0);
    const json& memory = row.at("memory");
    CHECK(memory.at("steady_bytes").get<uint64_t>() > 1000000);
    CHECK(memory.at("kv_bytes").get<uint64_t>() > 0);
    CHECK(memory.at("scratch_bytes").get<uint64_t>() > 0);
    CHECK(row.at("usage").at("wall_s").get<double>() > 0);
    CHECK(row.at("warm_up_rounds").get<int>() >= 2);
    CHECK(row.at("limit").contains("unit") == prefill);
  }
  CHECK(rows[0].at("tokens") == 16);
  CHECK(rows[1].at("depth") == 0);
  CHECK(rows[2].at("tokens") == 40);
  CHECK(rows[3].at("depth") == 33);
  CHECK(rows[3].at("limit").at("bytes_per_token") > rows[1].at("limit").at("bytes_per_token"));
}

TEST_CASE("bench model decodes several sequences, and shares what they begin with") {
  const auto run = [](const std::vector<std::string>& flags) {
    std::vector<std::string> words{"bench", "model", test::EmbeddedXs(), "-p", "16",    "-n", "4",
                                   "-r",    "1",     "--threads",        "1",  "--json"};
    words.insert(words.end(), flags.begin(), flags.end());
    const ProcessResult result = RunCrossover(words);
    INFO(result.err);
    REQUIRE(result.ok());
    return json::parse(result.out);
  };
  const json rows = run({"--sequences", "5"});
  REQUIRE(rows.size() == 3);
  CHECK(rows[2].at("test") == "decode");
  CHECK(rows[2].at("sequences") == 5);
  CHECK(rows[2].at("limit").at("bytes_per_token") < rows[1].at("limit").at("bytes_per_token"));
  const json shared = run({"--sequences", "6", "--shared-prefix", "40"});
  REQUIRE(shared.size() == 1);
  // Pages of 16 tokens: two of the prefix that are full, and two of each sequence's own.
  CHECK(shared[0].at("kv_pages_ideal") == 2 + 6 * 2);
  CHECK(shared[0].at("shared").at("kv_pages") == 2 + 6 * 2);
  CHECK(shared[0].at("apart").at("kv_pages") == 6 * 4);
  CHECK(shared[0].at("apart").at("tokens") == 6 * 56);
  // What lies behind the last full page is not shared while the first one runs.
  CHECK(shared[0].at("shared").at("tokens").get<int>() <= 56 + 5 * 24);
}

TEST_CASE("bench machine: cached, and measured again where asked") {
  const test::TemporaryDirectory cache;
  const auto run = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"bench", "machine", "--quick", "--json", "--quiet"});
    const ProcessResult result =
        RunCrossover(flags, {.environment = {{"XDG_CACHE_HOME", cache.path().string()}}});
    INFO(result.err);
    REQUIRE(result.ok());
    return json::parse(result.out);
  };
  const auto disturbed = [](const json& limits) {
    for (const char* list : {"bandwidth", "peak"}) {
      for (const json& row : limits.at(list)) {
        if (row.value("disturbed", false)) return true;
      }
    }
    return false;
  };
  const json first = run({"--threads", "1"});
  CHECK(first.at("cached") == false);
  const json again = run({"--threads", "1"});
  // Limits that others disturbed are not the machine's.
  CHECK(again.at("cached") == !disturbed(first));
  if (again.at("cached") == true) CHECK(again.at("bandwidth") == first.at("bandwidth"));
  CHECK(run({"--threads", "1", "--remeasure"}).at("cached") == false);
}

TEST_CASE("bench crossover: a cell a number of tokens, as JSON, CSV and table") {
  const auto run = [](const std::vector<std::string>& flags) {
    std::vector<std::string> words{"bench", "crossover", test::EmbeddedXs(), "--tokens",  "8,1",
                                   "-r",    "2",         "--quiet",          "--threads", "1"};
    words.insert(words.end(), flags.begin(), flags.end());
    return RunCrossover(words);
  };
  const ProcessResult result = run({"--json"});
  INFO(result.err);
  REQUIRE(result.ok());
  const json models = json::parse(result.out).at("models");
  REQUIRE(models.size() == 1);
  CHECK(models[0].at("threads") == 1);
  const json& cells = models[0].at("cells");
  REQUIRE(cells.size() == 2);
  CHECK(cells[0].at("tokens") == 1);  // ascending, however they were given
  CHECK(cells[1].at("tokens") == 8);
  for (const json& cell : cells) {
    for (const char* figure : {"pass_s", "products_s", "resident_s", "stream_s"}) {
      CHECK(cell.at(figure).at("samples").size() == cell.at("conditions").at("repetitions").size());
      CHECK(cell.at(figure).at("min").get<double>() > 0);
    }
    const double ratio = cell.at("ratio").get<double>();
    CHECK(cell.at("bound") == (ratio > 1 ? "communication" : "computation"));
  }
  CHECK(test::CountLines(run({"--csv"}).out) == 3);
  const std::string table = run({}).out;
  CHECK((test::Contains(table, "at all of them") || test::Contains(table, "the bound changes") ||
         test::Contains(table, "all passes were disturbed")));
  CHECK(RunCrossover({"bench", "crossover", test::EmbeddedXs(), "--tokens", "0"}).exit_code == 2);
  CHECK(RunCrossover({"bench", "crossover", "absent.gguf"}).exit_code == 1);
}

TEST_CASE("predict: shapes × recipes and files, on machines that are not here") {
  const ProcessResult result =
      RunCrossover({"predict", "--bandwidth", "20", "--rate", "500", "qwen2.5-0.5b", "Q8_0", "Q2_K",
                    test::EmbeddedXs(), "-d", "0,1024", "--json"});
  INFO(result.err);
  REQUIRE(result.ok());
  const json report = json::parse(result.out);
  CHECK(report.at("prediction") == true);
  REQUIRE(report.at("predictions").size() == 9);
  for (const json& row : report.at("predictions")) CHECK(row.at("tok_s").get<double>() > 0);
  CHECK(
      test::Contains(RunCrossover({"predict", "--machine", "raspberry-pi-5", "phi-4", "Q8_0"}).out,
                     "does not fit"));
  CHECK(test::Contains(RunCrossover({"predict", "--list-machines"}).out, "raspberry-pi-5"));
  for (const std::vector<std::string>& off :
       {std::vector<std::string>{"predict", "qwen2.5-0.5b", "Q8_0"},
        {"predict", "--machine", "raspberry-pi-5", "qwen2.5-0.5b"},
        {"predict", "--machine", "raspberry-pi-5", "Q8_0"},
        {"predict", "--machine", "raspberry-pi-5"},
        {"predict", "--machine", "raspberry-pi-5", "--rate", "5", "qwen2.5-0.5b", "Q8_0"},
        {"predict", "--bandwidth", "-3", "--rate", "5", "qwen2.5-0.5b", "Q8_0"},
        {"predict", "--bandwidth", "3", "--rate", "5", "dance", "Q8_0"}}) {
    CHECK(RunCrossover(off).exit_code == 2);
  }
  CHECK(RunCrossover({"predict", "--machine", test::EmbeddedXs(), "qwen2.5-0.5b", "Q8_0"})
            .exit_code == 1);
}

TEST_CASE("predict --check and --engine: other people's machines") {
  const ProcessResult check = RunCrossover({"predict", "--check", "--json"});
  INFO(check.err);
  REQUIRE(check.ok());
  const json checked = json::parse(check.out);
  CHECK(checked.at("summaries").at(0).at("rate") == "measured");
  CHECK(checked.at("summaries").at(0).at("median_error").get<double>() < 0.1);
  const std::vector<std::string> question{"predict", "--engine",     "llama.cpp", "--machine",
                                          "m2-max",  "qwen2.5-0.5b", "Q4_K_M"};
  const ProcessResult table = RunCrossover(question);
  INFO(table.err);
  REQUIRE(table.ok());
  CHECK(test::Contains(table.out, "A PREDICTION of llama.cpp on m2-max"));
  const ProcessResult unknown =
      RunCrossover({"predict", "--engine", "x", "--machine", "m2-max", "qwen2.5-0.5b", "Q4_K_M"});
  CHECK(unknown.exit_code == 1);
  CHECK(test::Contains(unknown.err, "ik_llama.cpp"));
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"predict", "--plot", "x.svg"},
        {"predict", "--check", "qwen2.5-0.5b", "Q4_K_M"},
        {"predict", "--engine", "llama.cpp", "qwen2.5-0.5b", "Q4_K_M"}}) {
    CHECK(RunCrossover(wrong).exit_code == 2);
  }
}

TEST_CASE("bench kernels: names, JSON of Google Benchmark's schema, and CSV") {
  const std::vector<std::string> words{
      "bench",         "kernels", "--op",          "rms_norm,matmul",
      "--format",      "Q4_0",    "--shape",       "0.5b.row,0.5b.attn_k",
      "--tokens",      "1",       "--threads",     "1",
      "--min-time",    "0.001",   "--repetitions", "2",
      "--working-set", "memory"};
  const auto run = [&](const char* flag) {
    std::vector<std::string> call = words;
    call.emplace_back(flag);
    return RunCrossover(call);
  };
  const ProcessResult list = run("--list");
  INFO(list.err);
  REQUIRE(list.ok());
  CHECK(test::CountLines(list.out) == 2);
  const ProcessResult result = run("--json");
  INFO(result.err);
  REQUIRE(result.ok());
  const json report = json::parse(result.out);
  CHECK(report.at("context").contains("num_cpus"));
  size_t iterations = 0;
  for (const json& row : report.at("benchmarks")) {
    CHECK(row.at("real_time").get<double>() >= 0);
    if (row.at("run_type") != "iteration") continue;
    ++iterations;
    CHECK(row.at("bytes_per_second").get<double>() > 0);
    CHECK(row.at("fraction_of_limit").get<double>() > 0);
    const bool matmul = row.at("name").get<std::string>().starts_with("matmul/Q4_0/");
    CHECK(row.contains("items_per_second") == matmul);
    CHECK(row.contains("disturbed"));
    CHECK(row.contains("involuntary_switches"));
  }
  CHECK(iterations == 4);
  const ProcessResult csv = run("--csv");
  CHECK(test::CountLines(csv.out) == 3);
  CHECK(test::Contains(csv.out, "rms_norm,"));

  // The words of Google Benchmark's own.
  const test::TemporaryDirectory directory;
  const std::string out = (directory / "kernels.json").string();
  const ProcessResult theirs = RunCrossover(
      {"bench", "kernels", "--op", "rms_norm", "--threads", "1", "--benchmark_filter=^rms_norm/",
       "--benchmark_min_time=0.001", "--benchmark_repetitions=1", "--benchmark_format=json",
       "--benchmark_out=" + out});
  INFO(theirs.err);
  REQUIRE(theirs.ok());
  CHECK(json::parse(theirs.out).at("benchmarks").size() > 0);
  CHECK(ReadFile(out) == theirs.out);
  const ProcessResult none = RunCrossover({"bench", "kernels", "--benchmark_nothing=1"});
  CHECK(none.exit_code == 2);
  CHECK(test::Contains(none.err, "unknown flag --benchmark_nothing"));

  const ProcessResult typo = RunCrossover({"bench", "kernels", "--format", "Q9"});
  CHECK(typo.exit_code == 2);
  CHECK(test::Contains(typo.err, "Q4_K"));
}

TEST_CASE("info --machine names a kernel for each format, layout and number of tokens") {
  const json machine = json::parse(RunCrossover({"info", "--machine", "--json"}).out);
  std::set<std::string> uses;
  for (const json& choice : machine.at("choices")) {
    CHECK_FALSE(choice.at("kernel").get<std::string>().empty());
    CHECK_FALSE(choice.at("reason").get<std::string>().empty());
    uses.insert(fmt::format("{} {} {} {}", choice.at("operation").get<std::string>(),
                            choice.at("format").get<std::string>(),
                            choice.at("layout").get<std::string>(),
                            choice.at("tokens").get<int>()));
  }
  for (const int tokens : {1, 16, 512}) {
    for (const char* layout : {"mapped", "packed"}) {
      CHECK(uses.count(fmt::format("matmul Q4_K {} {}", layout, tokens)) == 1);
    }
    CHECK(uses.count(fmt::format("attention F16  {}", tokens)) == 1);
  }
  CHECK(test::Contains(RunCrossover({"info", "--machine"}).out, "attention"));
}

/// A plan over the smallest embedded model that takes a second or two.
class TinyStudy {
 public:
  TinyStudy() {
    const json plan{
        {"name", "tiny"},
        {"models", {"embedded:xs"}},
        {"recipes", {"F16", "Q8_0", "Q4_K_M"}},
        {"metrics",
         {{"perplexity", {{"text", "embedded:heldout"}, {"context", 64}, {"chunks", 2}}},
          {"tasks", {{"directory", "embedded:tasks"}, {"names", {"facts", "sums"}}, {"limit", 4}}},
          {"speed", {{"prefill", 16}, {"decode", 4}, {"repetitions", 3}}}}}};
    WriteFile(directory_ / "plan.json", plan.dump());
  }
  std::vector<std::string> words() const {
    return {"study", (directory_ / "plan.json").string(), "--out", out().string()};
  }
  fs::path out() const { return directory_ / "out"; }
  std::vector<json> Records() const {
    std::vector<json> records;
    std::istringstream lines(ReadFile(out() / "results.jsonl"));
    for (std::string line; std::getline(lines, line);) records.push_back(json::parse(line));
    return records;
  }

 private:
  test::TemporaryDirectory directory_;
};

TEST_CASE("a study measures, resumes and is reported") {
  const TinyStudy study;
  const ProcessResult first = RunCrossover(study.words());
  INFO(first.err);
  REQUIRE(first.ok());
  const auto records = study.Records();
  REQUIRE(records.size() == 3);
  const json& f16 = records[0].at("measurement");
  const json& q4 = records[2].at("measurement");
  CHECK(f16.at("effective_bpw") == 16);
  CHECK(q4.at("effective_bpw").get<double>() < 7);
  CHECK(q4.at("file_bytes") < f16.at("file_bytes"));
  CHECK(records[0].at("quantize_seconds").is_null());
  CHECK(records[2].at("quantize_seconds").is_number());
  for (const json& record : records) {
    const json& m = record.at("measurement");
    CHECK(m.at("perplexity").at("ppl").get<double>() > 1);
    CHECK(m.at("perplexity").at("ppl").get<double>() < 4096);  // a uniform guess
    CHECK(m.at("tasks").size() == 3);                          // acc, acc_norm, exact_match
    CHECK(m.at("decode").at("samples_tok_s").size() >= 3);
    CHECK(m.at("decode").at("conditions").at("asked") == 3);
    CHECK(m.at("peak_rss_bytes").get<double>() > m.at("file_bytes").get<double>() / 2);
  }
  CHECK_FALSE(fs::exists(study.out() / "models"));

  const ProcessResult second = RunCrossover(study.words());
  CHECK(second.ok());
  CHECK(test::Contains(second.out, "0 measured now, 3 were there already"));
  CHECK(study.Records().size() == 3);

  const ProcessResult report = RunCrossover({"report", study.out().string()});
  REQUIRE(report.ok());
  CHECK(test::Contains(report.out, "reference-xs"));
  CHECK(test::Contains(report.out, "(1) Size against precision."));
  CHECK(fs::exists(study.out() / "report.html"));
  CHECK(test::CountLines(ReadFile(study.out() / "results.csv")) == 4);
}

TEST_CASE("study --list shows the ready plans") {
  const ProcessResult list = RunCrossover({"study", "--list"});
  REQUIRE(list.ok());
  for (const char* plan : {"demo", "paper", "bits"}) CHECK(test::Contains(list.out, plan));
  CHECK(json::parse(RunCrossover({"study", "--list", "--json"}).out).size() == 3);
}

TEST_CASE("a study killed at any moment goes on where it was") {
  const TinyStudy study;
  std::vector<std::string> words = study.words();
  words.insert(words.begin(), test::CrossoverBinary().string());
  {
    test::Process process(words);
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(100);
    const auto one_line = [&] {
      const fs::path results = study.out() / "results.jsonl";
      return fs::exists(results) && fs::file_size(results) > 0;
    };
    while (process.Running() && !one_line() && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    process.Signal(SIGKILL);
    process.Wait();
  }
  const ProcessResult resumed = RunCrossover(study.words());
  INFO(resumed.err);
  REQUIRE(resumed.ok());
  std::set<std::string> cells;
  for (const json& record : study.Records()) {
    CHECK(record.at("status") == "ok");
    cells.insert(record.at("cell").get<std::string>());
  }
  CHECK(cells.size() == 3);
  CHECK(study.Records().size() == 3);
}

}  // namespace
}  // namespace crossover
