// One item's outcome as a line of JSON, for `eval --log-samples`.
#pragma once

#include <cstddef>
#include <string>

#include "evals/evaluate.h"
#include "evals/harness.h"

namespace crossover::tools {

/// With the end of the line. Bytes that are no UTF-8 are replaced.
std::string SampleLine(const std::string& model, const evals::Task& task, size_t index,
                       const evals::ItemResult& item);
/// In the shape of lm-evaluation-harness's samples: a line for each filter of what was generated.
std::string SampleLines(const std::string& model, const evals::TaskFile& task,
                        const evals::QuestionSet& set, size_t index,
                        const evals::QuestionOutcome& outcome);

}  // namespace crossover::tools
