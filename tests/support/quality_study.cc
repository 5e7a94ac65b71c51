#include "tests/support/quality_study.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>

#include "base/line_journal.h"
#include "base/output_file.h"
#include "tests/support/command_inputs.h"

namespace crossover::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kPlan = R"({
  "name": "small", "models": ["m.gguf"], "recipes": ["Q8_0", "Q4_0"],
  "metrics": {"perplexity": {"text": "text.txt", "context": 64, "chunks": 1}}})";
constexpr size_t kCells = 2;

}  // namespace

bool IsUnfinished(const fs::path& path) {
  static const std::regex pattern(R"(.+\.tmp-[0-9a-f]{16})");
  return std::regex_match(path.filename().string(), pattern);
}

QualityStudy::QualityStudy() : words_{"study", "plan.json", "--out", "out", "--threads", "2"} {
  WriteCommandInputs(directory_);
  WriteFile(directory_ / "plan.json", kPlan);
  const ProcessResult result = RunCrossover(words_, {.directory = directory()});
  if (!result.ok()) throw std::runtime_error("the undisturbed study fails: " + result.err);
  for (const std::string& line : WholeLines(ReadFile(out() / "results.jsonl"))) {
    json record = json::parse(line);
    measurement_[record.at("cell").get<std::string>()] = record.at("measurement").dump();
    // Quiet ones, or each cell measures them again.
    record.at("machine").at("limits").erase("disturbed");
    record.erase("measurement");
    record.update({{"cell", "m/F16"}, {"key", "of no cell"}, {"status", "failed"}, {"error", "-"}});
    limits_ = record.dump() + '\n';
  }
  if (measurement_.size() != kCells) throw std::runtime_error("the study lacks a cell");
}

void QualityStudy::Reset() const {
  fs::remove_all(out());
  fs::create_directory(out());
  WriteFile(out() / "results.jsonl", limits_);
}

std::string QualityStudy::FaultOfLine(const std::string& line,
                                      std::map<std::string, size_t>& measured) const {
  const json record = json::parse(line, nullptr, false);
  if (record.is_discarded()) return "no record: " + line;
  if (record.at("status") != "ok") {
    return record.at("error").get<std::string>().empty() ? "a failure without a reason" : "";
  }
  const auto cell = record.at("cell").get<std::string>();
  ++measured[cell];
  const bool same = record.at("measurement").dump() == measurement_.at(cell);
  return same ? "" : "other figures: " + line;
}

std::string QualityStudy::Fault() const {
  if (fs::exists(out() / "results.jsonl")) {
    std::map<std::string, size_t> measured;
    for (const std::string& line : WholeLines(ReadFile(out() / "results.jsonl"))) {
      if (std::string fault = FaultOfLine(line, measured); !fault.empty()) return fault;
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator(out())) {
    const std::string name = fs::relative(entry.path(), out()).string();
    const bool known = name == "results.jsonl" || name == "crossover-models" ||
                       name.starts_with("crossover-models/");
    if (!known) return "a stray file: " + name;
  }
  return "";
}

std::string QualityStudy::FaultAtEnd() const {
  if (std::string fault = Fault(); !fault.empty()) return fault;
  // An empty folder says nothing of who made it, so it stays where a kill fell between its last
  // file and itself.
  const fs::path models = out() / "crossover-models";
  if (fs::exists(models) && !fs::is_empty(models)) return "its files are still there";
  const std::string text = ReadFile(out() / "results.jsonl");
  if (!text.ends_with('\n')) return "a last line without its end";
  std::map<std::string, size_t> measured;
  for (const std::string& line : WholeLines(text)) FaultOfLine(line, measured);
  if (measured.size() != kCells) return fmt::format("{} cells measured", measured.size());
  for (const auto& [cell, times] : measured) {
    if (times != 1) return fmt::format("{} was measured {} times", cell, times);
  }
  return "";
}

size_t QualityStudy::Unfinished() const {
  size_t unfinished = 0;
  for (const auto& entry : fs::recursive_directory_iterator(out())) {
    unfinished += IsUnfinished(entry.path()) ? 1 : 0;
  }
  return unfinished;
}

}  // namespace crossover::test
