// The three kinds of requests, answered from a journal where it has the answer, else by the model.
#pragma once

#include <string>
#include <vector>

#include "engine/run/engine.h"
#include "evals/answer.h"
#include "evals/answer_journal.h"
#include "evals/generation.h"
#include "evals/task.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

/// `journal` may be null. Errors: those of ScoreMultipleChoice, Generate, ScoreRolling, and kIo.
Scored AnswerChoices(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                     const std::vector<MultipleChoiceItem>& items, AnswerJournal* journal,
                     const ScoreOptions& options);
Scored AnswerPrompts(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                     const std::vector<GenerationRequest>& items, AnswerJournal* journal,
                     const ScoreOptions& options);
Scored AnswerTexts(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, AnswerJournal* journal,
                   const ScoreOptions& options);

}  // namespace crossover::evals
