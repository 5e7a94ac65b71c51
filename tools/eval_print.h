// How `eval` shows its results.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "evals/evaluate.h"

namespace crossover::tools {

struct EvalRow {
  std::string model;  // as named on the command line
  evals::MetricResult metric;
};

void PrintEvalTable(const std::vector<EvalRow>& rows);

nlohmann::json EvalJson(const std::vector<EvalRow>& rows);
void PrintEvalJson(const std::vector<EvalRow>& rows);
void PrintEvalCsv(const std::vector<EvalRow>& rows);

}  // namespace crossover::tools
