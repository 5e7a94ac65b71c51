// What an interrupted run takes for the same when it goes on: the model by what all of its files
// hold, the program by what runs.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/output_file.h"
#include "engine/files/gguf.h"
#include "engine/files/gguf_writer.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// The smallest model in two parts, of which the second holds its last layers.
void WriteParts(const fs::path& folder) {
  const auto whole = engine::GgufFile::Open(EmbeddedXs());
  for (uint64_t part = 0; part < 2; ++part) {
    std::vector<const engine::GgufTensor*> tensors;
    std::vector<engine::GgufTensorInfo> infos;
    for (size_t i = 0; i < whole->tensors().size(); ++i) {
      if ((i >= whole->tensors().size() / 2) != (part == 1)) continue;
      tensors.push_back(&whole->tensors()[i]);
      infos.push_back({tensors.back()->name, tensors.back()->format, tensors.back()->shape});
    }
    std::vector<std::pair<std::string, engine::GgufValue>> metadata;
    if (part == 0) metadata = whole->metadata();
    metadata.push_back({"split.no", {engine::GgufType::kU16, {}, part}});
    metadata.push_back({"split.count", {engine::GgufType::kU16, {}, uint64_t{2}}});
    engine::GgufWriter writer(folder / fmt::format("m-{:05}-of-00002.gguf", part + 1), metadata,
                              infos);
    for (const engine::GgufTensor* tensor : tensors) writer.Append(tensor->data);
    writer.Commit();
  }
}

/// Writes over the file's last bytes where it lies, and sets its time back.
void ChangeInPlace(const fs::path& path, char value) {
  const auto time = fs::last_write_time(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-20000, std::ios::end);
  for (int i = 0; i < 20000; ++i) file.put(i % 2 == 0 ? value : '\x18');
  file.close();
  fs::last_write_time(path, time);
}

TEST_CASE("eval --resume asks again when any part of a model was written, and only then") {
  const TemporaryDirectory directory;
  WriteParts(directory.path());
  std::string data;
  for (const char* prompt : {"the", "and", "12", "in the", "He"}) {
    data += json{{"p", prompt}, {"a", "0"}}.dump() + "\n";
  }
  WriteFile(directory / "data.jsonl", data);
  const json task{{"task", "t"},
                  {"items", {{{"file", "data.jsonl"}, {"format", "jsonl"}}}},
                  {"prompt", "{p}"},
                  {"choices", {"12", "ing"}},
                  {"answer", {{"is", "{a}"}, {"among", {"0", "1"}}}},
                  {"metrics", {"acc"}}};
  WriteFile(directory / "task.json", task.dump());
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"eval", "m-00001-of-00002.gguf", "--tasks", "task.json"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = RunCrossover(words, {.directory = directory.path()});
    REQUIRE_MESSAGE(result.ok(), result.err);
    return result.err;
  };
  const auto samples = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"--log-samples", "s.jsonl"};
    words.insert(words.end(), more.begin(), more.end());
    run(words);
    std::string responses;
    std::ifstream lines(directory / "s.jsonl");
    for (std::string line; std::getline(lines, line);) {
      responses += json::parse(line).at("resps").dump() + "\n";
    }
    return responses;
  };
  const std::string before = samples({"--resume", "journal"});
  CHECK(Contains(run({"--resume", "journal"}), "5 items were answered by an earlier run"));
  // A copy elsewhere in time is the same model.
  fs::last_write_time(directory / "m-00002-of-00002.gguf", fs::file_time_type::clock::now());
  CHECK(Contains(run({"--resume", "journal"}), "5 items were answered by an earlier run"));

  ChangeInPlace(directory / "m-00002-of-00002.gguf", '\x3c');
  const std::string after = samples({});
  REQUIRE(before != after);
  CHECK(samples({"--resume", "journal"}) == after);
}

TEST_CASE("a study goes on with the program that it was started with") {
  const TemporaryDirectory directory;
  fs::copy_file(CrossoverBinary(), directory / "program");
  const json plan{{"name", "small"},
                  {"models", {"embedded:xs"}},
                  {"recipes", {"Q8_0", "Q4_0", "Q4_K_M", "Q2_K"}},
                  {"metrics", {{"speed", {{"prefill", 16}, {"decode", 4}, {"repetitions", 1}}}}}};
  WriteFile(directory / "plan.json", plan.dump());
  WriteFile(directory / "other",
            "#!/bin/sh\n: > " + (directory / "OTHER-RAN").string() + "\nexit 1\n");
  fs::permissions(directory / "other", fs::perms::owner_all);
  const std::vector<std::string> words{(directory / "program").string(),
                                       "--threads",
                                       "1",
                                       "study",
                                       (directory / "plan.json").string(),
                                       "--out",
                                       (directory / "out").string()};
  // The data files are found from the program's place.
  Process study(words, {.environment = {{"CROSSOVER_DATA", SourceRoot().string()}}});
  const fs::path results = directory / "out" / "results.jsonl";
  std::error_code none;
  while (study.Running() && !(fs::exists(results, none) && fs::file_size(results, none) > 0)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  fs::rename(directory / "other", directory / "program");
  const ProcessResult result = study.Wait();
  CHECK_MESSAGE(result.ok(), result.err);
  CHECK_FALSE(fs::exists(directory / "OTHER-RAN"));
  CHECK(CountLines(ReadFile(results)) == 4);
}

}  // namespace
}  // namespace crossover::test
