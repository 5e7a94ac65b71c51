// `crossover eval --compare`: models against the first, item by item.
#pragma once

#include <vector>

#include "tools/eval_print.h"

namespace crossover::tools {

enum class EvalOutput { kTable, kJson, kCsv };

/// The rows of all models, and after them the comparisons: a second table, a second CSV behind a
/// blank line, or {"results": [...], "compare": [...]}.
void PrintEvalComparison(const std::vector<EvalRow>& rows, EvalOutput output);

}  // namespace crossover::tools
