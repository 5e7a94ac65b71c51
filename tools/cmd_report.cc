// crossover report: a study's results as a table, CSV and one HTML page.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/say.h"
#include "bench/report/report.h"
#include "tools/command.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

std::vector<std::string> Names(const std::vector<std::filesystem::path>& paths) {
  return {paths.begin(), paths.end()};
}

void Run(const std::string& directory, const GlobalOptions& globals) {
  const bench::Report report = bench::MakeReport(directory);
  if (!report.warning.empty()) Warn(report.warning);
  if (globals.json) {
    const nlohmann::json json{{"report", report.html.string()},
                              {"csv", report.csv.string()},
                              {"more", Names(report.more)},
                              {"findings", report.findings}};
    fmt::print("{}\n", DumpJson(json, 2));
    return;
  }
  Say("{}\n{}\n\n{}\n{}\n", report.table, report.findings, report.html.string(),
      report.csv.string());
  for (const std::string& name : Names(report.more)) Say("{}\n", name);
}

}  // namespace

void AddReport(CLI::App& app, const GlobalOptions& globals) {
  auto directory = std::make_shared<std::string>();
  const Subcommand command(app, "report",
                           "Make a study's results readable: a table, CSV, an HTML page");
  command.Add("directory", *directory, "The study's folder").Required().Type("DIR");
  command.Examples("  crossover report out/demo");
  command.Run([directory, &globals] { Run(*directory, globals); });
}

}  // namespace crossover::tools
