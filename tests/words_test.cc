// Words of the command line: habits of the field that work, mistakes that are named, and words that
// cannot have an effect.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/support/command_line.h"

namespace crossover::test {
namespace {

using nlohmann::json;

TEST_CASE("-m, -t and -c are what they are in other programs") {
  const test::TemporaryDirectory directory;
  const std::string text = Heldout();
  const std::string xs = EmbeddedXs();
  for (const Words& call : std::vector<Words>{
           {"info", "-m", xs},
           {"generate", "-m", xs, "-p", "a", "-n", "1", "-t", "1", "-c", "64"},
           {"generate", "--model", xs, "-p", "a", "--n-predict", "1", "--threads", "1"},
           {"perplexity", "-m", xs, "-f", text, "-c", "64", "--chunks", "1", "-t", "1"},
           {"eval", "-m", xs, "--tasks", "facts", "--limit", "2", "-t", "1"}}) {
    const ProcessResult result = RunCrossover(call);
    INFO(Told(call, result));
    CHECK(result.ok());
  }
}

TEST_CASE("a model named twice, or not at all, is a mistake in the call") {
  CHECK(RunCrossover({"generate", EmbeddedXs(), "-m", EmbeddedXs(), "-p", "a"}).exit_code == 2);
  CHECK(RunCrossover({"generate", "-p", "a"}).exit_code == 2);
  CHECK(RunCrossover({"generate", "", "-p", "a"}).exit_code == 2);
  CHECK(RunCrossover({"generate", "-m", "", "-p", "a"}).exit_code == 2);
}

TEST_CASE("unknown flags come in the order of the call, with what was probably meant") {
  const ProcessResult two = RunCrossover({"generate", "m.gguf", "--foo", "3", "--bar", "-p", "a"});
  CHECK(two.exit_code == 2);
  CHECK(Contains(two.err, "unknown flags --foo, --bar\n"));
  struct Call {
    Words words;
    std::string said;
  };
  for (const Call& call : {Call{{"generate", "m.gguf", "--topk", "3", "-p", "a"},
                                "unknown flag --topk (did you mean --top-k?)"},
                           Call{{"generate", "m.gguf", "-p", "a", "--tmep=0"},
                                "unknown flag --tmep (did you mean --temp?)"},
                           Call{{"generate", "m.gguf", "-p", "a", "-ngl", "99"},
                                "unknown flag -ngl (models run on the CPU alone)"},
                           Call{{"info", "m.gguf", "--jsn"}, "(did you mean --json?)"},
                           Call{{"study", "demo", "--otu", "x"}, "--otu (did you mean --out?)"},
                           Call{{"perplexty", "m.gguf"}, "(did you mean perplexity?)"},
                           Call{{"info", "m.gguf", "n.gguf"}, "unexpected word 'n.gguf'"}}) {
    const ProcessResult result = RunCrossover(call.words);
    INFO(result.err);
    CHECK(result.exit_code == 2);
    CHECK(Contains(result.err, call.said));
    CHECK(test::CountLines(result.err) == 2);
  }
}

TEST_CASE("help is a word too, and every command's help has the flags of all commands") {
  const ProcessResult all = RunCrossover({"help"});
  CHECK(all.ok());
  CHECK(Contains(all.out, "generate"));
  for (const Words& command :
       std::vector<Words>{{"generate"}, {"perplexity"}, {"quantize"}, {"bench", "model"}}) {
    Words word{"help"};
    word.insert(word.end(), command.begin(), command.end());
    Words flag = command;
    flag.emplace_back("--help");
    const ProcessResult help = RunCrossover(word);
    INFO(fmt::format("{}", fmt::join(word, " ")));
    CHECK(help.ok());
    CHECK(help.out == RunCrossover(flag).out);
    for (const char* name : {"--threads", "--isa", "--kv-type", "--weights", "--json"}) {
      CHECK(Contains(help.out, name));
    }
  }
  const ProcessResult unknown = RunCrossover({"help", "dance"});
  CHECK(unknown.exit_code == 2);
  CHECK(Contains(unknown.err, "'dance'"));
}

TEST_CASE("numbers that are none, or out of range, are mistakes in the call") {
  for (const Words& words : std::vector<Words>{{"--temp", "nan"},
                                               {"--temp", "inf"},
                                               {"--temp", "-1"},
                                               {"--top-p", "2"},
                                               {"--top-p", "0"},
                                               {"--min-p", "nan"},
                                               {"--top-k", "-1"},
                                               {"--repeat-penalty", "0"},
                                               {"--repeat-last-n", "-1"},
                                               {"--seed", "x"},
                                               {"--seed", "-2"},
                                               {"--seed", "1.5"},
                                               {"--seed", "18446744073709551616"},
                                               {"-n", "0"},
                                               {"-n", "-2"},
                                               {"-n", "99999999999"},
                                               {"-c", "0"},
                                               {"-c", "-5"},
                                               {"--threads", "0"},
                                               {"--threads", "-1"},
                                               {"--threads", "1e3"},
                                               {"--stop", ""},
                                               {"-f", ""}}) {
    Words call{"generate", EmbeddedXs()};
    if (words[0] != "-f") call.insert(call.end(), {"-p", "a"});
    call.insert(call.end(), words.begin(), words.end());
    const ProcessResult result = RunCrossover(call);
    INFO(Told(words, result));
    CHECK(result.exit_code == 2);
    CHECK(Contains(result.err, words[0].starts_with("--") ? words[0] : "--"));
  }
  CHECK(RunCrossover({"logits", EmbeddedXs(), "--tokens", "-", "--out", "x", "--last", "-1"})
            .exit_code == 2);
  CHECK(RunCrossover({"bench", "kernels", "--min-time", "nan", "--list"}).exit_code == 2);
  CHECK(RunCrossover({"predict", "--bandwidth", "nan", "--rate", "1", "phi-4", "Q8_0"}).exit_code ==
        2);
}

TEST_CASE("--seed -1 draws one and tells it, and the run can be repeated with it") {
  const auto run = [](const std::string& seed) {
    return RunCrossover({"--json", "--threads", "1", "generate", EmbeddedXs(), "-p", "The", "-n",
                         "12", "--temp", "5", "--top-k", "0", "--ignore-eos", "--seed", seed});
  };
  const ProcessResult first = run("-1");
  REQUIRE(first.ok());
  const json drawn = json::parse(first.out);
  const std::string seed = std::to_string(drawn.at("seed").get<uint64_t>());
  CHECK(Contains(first.err, "--seed " + seed));
  CHECK(json::parse(run("-1").out).at("text") != drawn.at("text"));
  const ProcessResult again = run(seed);
  CHECK(json::parse(again.out).at("text") == drawn.at("text"));
  CHECK_FALSE(Contains(again.err, "seed"));
}

TEST_CASE("words that exclude each other, or have no effect beside others, are refused") {
  const test::TemporaryDirectory directory;
  const std::string xs = EmbeddedXs();
  const std::string out = (directory / "out").string();
  const std::string text = Heldout();
  for (const Words& call :
       std::vector<Words>{{"generate", xs},
                          {"generate", xs, "-p", "a", "-f", text},
                          {"bench", "machine", "--csv", "--json"},
                          {"eval", xs, "--csv", "--json"},
                          {"eval", xs, "--tasks", "facts,facts"},
                          {"eval", xs, "--tasks", ""},
                          {"eval", xs, "--limit", "0"},
                          {"eval", xs, "--log-samples", xs},
                          {"eval", xs, "--log-samples", out, "--resume", out},
                          {"logits", xs, "--tokens", text, "--out", text},
                          {"perplexity", xs, "-f", text, "--kl-save", xs},
                          {"perplexity", xs, "-f", text, "--chunks", "0"},
                          {"perplexity", xs, "-f", text, "-c", "64", "--ppl-stride", "64"},
                          {"quantize", xs, xs, "Q8_0"},
                          {"quantize", xs, out, "F16", "--imatrix", text},
                          {"quantize", xs, out, "F16", "--packed"},
                          {"quantize", xs, out, "F16", "--pure"},
                          {"bench", "model", xs, "-p", "0", "-n", "0"},
                          {"bench", "model", xs, "-n", "0", "-d", "16"},
                          {"predict", "--list-machines", "phi-4"},
                          {"study", "demo", "--list"},
                          {"synth", "phi-4", "--list"},
                          {"synth", "qwen2.5-0.5b", "Q4_0", out, "--seed", "-7"}}) {
    const ProcessResult result = RunCrossover(call);
    INFO(Told(call, result));
    CHECK(result.exit_code == 2);
    CHECK(test::CountLines(result.err) == 2);
    CHECK_FALSE(std::filesystem::exists(out));
  }
  CHECK(std::filesystem::file_size(xs) > 1'000'000);
}

TEST_CASE("a base of logits keeps its own -c") {
  const test::TemporaryDirectory directory;
  const std::string base = (directory / "base.kld").string();
  const std::string text = Heldout();
  REQUIRE(RunCrossover({"perplexity", EmbeddedXs(), "-f", text, "-c", "64", "--chunks", "2",
                        "--kl-save", base})
              .ok());
  const auto compare = [&](const Words& more) {
    Words call{"perplexity", EmbeddedXs(), "--kl-base", base};
    call.insert(call.end(), more.begin(), more.end());
    return RunCrossover(call);
  };
  CHECK(compare({}).ok());
  CHECK(compare({"-c", "64"}).ok());
  const ProcessResult other = compare({"-c", "32"});
  CHECK(other.exit_code == 2);
  CHECK(Contains(other.err, "--ctx-size 32"));
}

TEST_CASE("bench model measures one of its two tests alone") {
  for (const auto& [words, test] :
       {std::pair<Words, const char*>{{"-p", "0", "-n", "2"}, "decode"},
        std::pair<Words, const char*>{{"-p", "8", "-n", "0"}, "prefill"}}) {
    Words call{"bench", "model", EmbeddedXs(), "-r", "1", "--quiet"};
    call.insert(call.end(), words.begin(), words.end());
    const ProcessResult table = RunCrossover(call);
    INFO(table.err);
    CHECK(table.ok());
    call.emplace_back("--json");
    const ProcessResult result = RunCrossover(call);
    REQUIRE(result.ok());
    const json rows = json::parse(result.out);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].at("test") == test);
    CHECK(rows[0].at("tok_s").at("median").get<double>() > 0);
  }
}

}  // namespace
}  // namespace crossover::test
