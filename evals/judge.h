// From a model's answer to an item to the item's metrics, by lm-evaluation-harness's definitions.
#pragma once

#include <string>
#include <vector>

#include "evals/answer.h"
#include "evals/answer_reader.h"
#include "evals/program.h"
#include "evals/question.h"

namespace crossover::evals {

struct QuestionOutcome : Answer {
  /// Of each of the task's columns: 0 or 1; a share of probability where several choices are right;
  /// Σ ln p for perplexities; NaN for what was not measured.
  std::vector<double> values;
  std::vector<double> weights{};         // of each column: what Σ ln p is divided by; empty: 1
  std::vector<std::string> extracted{};  // of what was generated, by each of the extractions
  std::string failure{};                 // what a generated program was ended by, if it failed
};

/// acc: argmax Σ ln p; acc_norm and acc_bytes: argmax of Σ ln p over the choice's code points or
/// UTF-8 bytes, without the delimiter. The first of equals wins. Without an answer's labels acc is
/// `greedy`. Precondition: both vectors as long as the question.
QuestionOutcome JudgeQuestion(const TaskFile& task, const Question& question,
                              std::vector<double> log_likelihood, std::vector<bool> greedy);

/// Words and bytes are those of the text that `counted` gives.
QuestionOutcome JudgeText(const TaskFile& task, const Question& question, double log_likelihood);

/// exact_match of each extraction with the right answer; pass@1 by running the program, unless
/// `runner` is null. `reader` is that of the task.
QuestionOutcome JudgeGenerated(const TaskFile& task, const AnswerReader& reader,
                               const Question& question, std::string generated,
                               const ProgramRunner* runner);

}  // namespace crossover::evals
