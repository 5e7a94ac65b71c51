// The quantisation laboratory from the command line: measure importance, choose formats, quantise
// by a method, and see on another text that it was worth it.
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
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
using test::Contains;
using test::ProcessResult;
using test::RunCrossover;

std::string Model(const char* member) {
  return (test::SourceRoot() / fmt::format("models/reference-{}.gguf", member)).string();
}

std::string Text(const char* name) { return (test::SourceRoot() / "models" / name).string(); }

json RunForJson(std::vector<std::string> words) {
  words.insert(words.end(), {"--json", "--quiet", "--threads", "2"});
  const ProcessResult result = RunCrossover(words);
  INFO(fmt::format("{}: {}", fmt::join(words, " "), result.err));
  REQUIRE(result.ok());
  return json::parse(result.out);
}

/// Mean KL divergence from the member of the family, on the text that nothing is calibrated on.
double Divergence(const std::string& model, const char* member) {
  return RunForJson({"perplexity", model, "--kl-model", Model(member), "-f", Text("heldout.txt"),
                     "-c", "256", "--chunks", "12"})
      .at("kld_mean");
}

/// The end of the text whose beginning Divergence is measured on: another book.
std::string WriteCalibration(const test::TemporaryDirectory& directory) {
  const std::string text = ReadFile(Text("heldout.txt"));
  WriteFile(directory / "calibration.txt", text.substr(text.size() - 100'000));
  return (directory / "calibration.txt").string();
}

TEST_CASE("lab: on a text that nothing saw, gptq and opt keep more of a model than rounding does") {
  const test::TemporaryDirectory directory;
  const auto at = [&](const std::string& name) { return (directory / name).string(); };
  const std::string text = WriteCalibration(directory);
  const json importance = RunForJson(
      {"imatrix", Model("s"), "-f", text, "-o", at("i.gguf"), "-c", "256", "--chunks", "40"});
  CHECK(importance.at("chunks") == 40);
  CHECK(importance.at("tensors") == 28);
  std::vector<double> kld;
  for (const std::vector<std::string>& method :
       {std::vector<std::string>{"--method", "rtn"},
        {"--method", "opt", "--imatrix", at("i.gguf")},
        {"--method", "gptq", "--imatrix", at("i.gguf"), "--calibrate", text, "-c", "256",
         "--chunks", "40"}}) {
    std::vector<std::string> words = {"quantize", Model("s"), at("q.gguf"), "G3_64Z"};
    words.insert(words.end(), method.begin(), method.end());
    const json report = RunForJson(words);
    CHECK(report.at("method") == method[1]);
    CHECK(report.at("effective_bpw") == doctest::Approx(3.5));
    kld.push_back(Divergence(at("q.gguf"), "s"));
  }
  INFO(fmt::format("{}", fmt::join(kld, " ")));
  CHECK(kld[1] < 0.9 * kld[0]);
  CHECK(kld[2] < 0.9 * kld[0]);
  // K formats too.
  RunForJson({"quantize", Model("s"), at("k.gguf"), "Q3_K_S"});
  const double plain = Divergence(at("k.gguf"), "s");
  RunForJson({"quantize", Model("s"), at("k.gguf"), "Q3_K_S", "--method", "gptq", "--calibrate",
              text, "-c", "256", "--chunks", "40"});
  CHECK(Divergence(at("k.gguf"), "s") < plain);
}

TEST_CASE("lab: a recipe of allocate's is what quantize makes, to the size it promised") {
  const test::TemporaryDirectory directory;
  const auto at = [&](const std::string& name) { return (directory / name).string(); };
  RunForJson({"imatrix", Model("xs"), "-f", Text("calibration.txt"), "-o", at("i.gguf"), "-c",
              "128", "--chunks", "12"});
  const json recipe = RunForJson(
      {"allocate", Model("xs"), "--bpw", "3.5", "--imatrix", at("i.gguf"), "-o", at("r.json")});
  CHECK(json::parse(ReadFile(directory / "r.json")) == recipe);
  CHECK(recipe.at("bpw") <= 3.5);
  const json report =
      RunForJson({"quantize", Model("xs"), at("q.gguf"), at("r.json"), "--imatrix", at("i.gguf")});
  CHECK(report.at("effective_bpw") == doctest::Approx(recipe.at("bpw").get<double>()));
  for (const json& tensor : report.at("tensors")) {
    if (!recipe.at("tensors").contains(tensor.at("name"))) continue;
    CHECK(tensor.at("format") == recipe.at("tensors").at(tensor.at("name").get<std::string>()));
  }
  const ProcessResult table = RunCrossover(
      {"allocate", Model("xs"), "--bpw", "4", "--even", "--formats", "G2_64Z,G4_64Z,G6_64Z"});
  CHECK(table.ok());
  CHECK(Contains(table.out, "bpw"));
  CHECK(Contains(table.out, "4.0"));
}

TEST_CASE(
    "lab: on a text that nothing saw, measured bits beat a mixture made by hand of their size") {
  const test::TemporaryDirectory directory;
  const auto at = [&](const std::string& name) { return (directory / name).string(); };
  const std::string text = WriteCalibration(directory);
  RunForJson(
      {"imatrix", Model("s"), "-f", text, "-o", at("i.gguf"), "-c", "256", "--chunks", "40"});
  const json hand =
      RunForJson({"quantize", Model("s"), at("q.gguf"), "Q3_K_M", "--imatrix", at("i.gguf")});
  const double bpw = hand.at("effective_bpw");
  const double by_hand = Divergence(at("q.gguf"), "s");
  RunForJson({"allocate", Model("s"), "--bpw", fmt::format("{}", bpw), "--imatrix", at("i.gguf"),
              "-o", at("r.json"), "--calibrate", text, "-c", "256", "--chunks", "6"});
  const json made =
      RunForJson({"quantize", Model("s"), at("q.gguf"), at("r.json"), "--imatrix", at("i.gguf")});
  CHECK(made.at("effective_bpw") <= bpw);
  const double measured = Divergence(at("q.gguf"), "s");
  INFO(fmt::format("{} {}", by_hand, measured));
  CHECK(measured < 0.9 * by_hand);
}

TEST_CASE("lab: imatrix killed at once, and again, ends with the bytes of a run that was not") {
  const test::TemporaryDirectory directory;
  const auto words = [&](const std::string& out) {
    return std::vector<std::string>{"imatrix", Model("m"), "-o",       (directory / out).string(),
                                    "-c",      "256",      "--chunks", "30"};
  };
  REQUIRE(RunCrossover(words("whole.gguf")).ok());
  for (int kills = 0; kills < 2; ++kills) {
    std::vector<std::string> call = words("killed.gguf");
    call.insert(call.begin(), test::CrossoverBinary().string());
    test::Process process(call);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    process.Signal(SIGKILL);
    process.Wait();
  }
  REQUIRE(RunCrossover(words("killed.gguf")).ok());
  CHECK(ReadFile(directory / "killed.gguf") == ReadFile(directory / "whole.gguf"));
  CHECK(!fs::exists(directory / "killed.gguf.progress"));
}

TEST_CASE("lab: input that cannot be used ends with one line that says why") {
  const test::TemporaryDirectory directory;
  const auto at = [&](const std::string& name) { return (directory / name).string(); };
  WriteFile(directory / "short.txt", "A few words.");
  RunForJson({"imatrix", Model("s"), "-o", at("s.gguf"), "-c", "64", "--chunks", "10"});
  WriteFile(directory / "other.json",
            R"({"crossover_recipe": 1, "base": "G3", "tensors": {"blk.77.attn_q.weight": "G4"}})");
  WriteFile(directory / "no.json", "{}");
  struct Case {
    std::vector<std::string> words;
    int exit_code;
    const char* says;
  };
  const std::string xs = Model("xs"), out = at("out.gguf");
  for (const Case& c : {
           Case{{"imatrix", xs, "-f", at("short.txt"), "-o", out}, 1, "too short"},
           {{"imatrix", xs, "-f", xs, "-o", xs}, 2, "reference-xs.gguf"},
           {{"imatrix", at("short.txt"), "-o", out}, 1, "short.txt"},
           {{"quantize", xs, out, "G3", "--method", "gptq", "--calibrate", at("short.txt")},
            1,
            "too short"},
           {{"quantize", xs, out, "Q4_K_M", "--method", "rtn"}, 1, "not defined"},
           {{"quantize", xs, out, "G3", "--method", "rtn", "--imatrix", at("s.gguf")},
            2,
            "no effect"},
           {{"quantize", xs, out, "G3", "--chunks", "3"}, 2, "gptq"},
           {{"quantize", xs, out, "F16", "--method", "gptq"}, 2, "no effect"},
           {{"quantize", xs, out, at("other.json")}, 1, "blk"},
           {{"quantize", xs, out, at("no.json")}, 1, "no recipe"},
           {{"quantize", xs, out, at("absent.json")}, 1, "absent.json"},
           {{"allocate", xs, "--bpw", "1"}, 1, "too few"},
           {{"allocate", xs, "--bpw", "4", "--calibrate", at("short.txt")}, 1, "too short"},
           {{"allocate", xs, "--bpw", "4", "--even", "--chunks", "3"}, 2, "no effect"},
           {{"allocate", xs, "--bpw", "nan"}, 2, "bpw"},
           {{"allocate", xs, "--bpw", "4", "--formats", "Q9"}, 2, "Q9"},
           {{"allocate", xs, "--bpw", "4", "--formats", "F16"}, 2, "F16"},
       }) {
    const ProcessResult result = RunCrossover(c.words);
    INFO(fmt::format("{}: {}", fmt::join(c.words, " "), result.err));
    CHECK(result.exit_code == c.exit_code);
    CHECK(Contains(result.err, c.says));
    CHECK(test::CountLines(result.err) == (c.exit_code == 2 ? 2 : 1));
    CHECK(!fs::exists(out));
  }
  // A matrix of another model: names that it has, of other widths.
  RunForJson({"imatrix", Model("m"), "-o", at("m.gguf"), "-c", "64", "--chunks", "10"});
  for (const char* command : {"quantize", "allocate"}) {
    std::vector<std::string> words = {command, xs};
    if (std::string(command) == "quantize") {
      words.insert(words.end(), {out, "Q4_0"});
    } else {
      words.insert(words.end(), {"--bpw", "4"});
    }
    words.insert(words.end(), {"--imatrix", at("m.gguf")});
    const ProcessResult result = RunCrossover(words);
    INFO(result.err);
    CHECK(result.exit_code == 1);
    CHECK(Contains(result.err, "another model"));
  }
}

}  // namespace
}  // namespace crossover
