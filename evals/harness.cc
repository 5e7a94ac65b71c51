#include "evals/harness.h"

#include <algorithm>

#include "evals/ask.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

// Every prompt with its choices is an item; a question with several prompts has several.
Scored AskChoices(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                  const TaskFile& task, const QuestionSet& set, const QuestionOptions& options) {
  std::vector<MultipleChoiceItem> items;
  for (const Question& question : set.questions) {
    for (const std::string& prompt : question.prompts) {
      MultipleChoiceItem& item = items.emplace_back();
      item.context = prompt;
      for (const std::string& choice : question.choices) {
        item.choices.push_back(task.delimiter + choice);
      }
    }
  }
  return AnswerChoices(engine, tokenizer, items, options.journal, options.score);
}

Scored AskTexts(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                const QuestionSet& set, const QuestionOptions& options) {
  std::vector<std::string> texts;
  for (const Question& question : set.questions) texts.push_back(question.choices[0]);
  return AnswerTexts(engine, tokenizer, texts, options.journal, options.score);
}

Scored AskPrompts(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                  const TaskFile& task, const QuestionSet& set, const QuestionOptions& options) {
  std::vector<GenerationRequest> requests;
  for (const Question& question : set.questions) {
    requests.push_back({question.prompts[0], task.generate.until, task.generate.max_tokens});
  }
  return AnswerPrompts(engine, tokenizer, requests, options.journal, options.score);
}

Scored Ask(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer, const TaskFile& task,
           const QuestionSet& set, const QuestionOptions& options) {
  switch (task.kind) {
    case RequestKind::kChoices:
      return AskChoices(engine, tokenizer, task, set, options);
    case RequestKind::kGenerate:
      return AskPrompts(engine, tokenizer, task, set, options);
    case RequestKind::kRolling:
      return AskTexts(engine, tokenizer, set, options);
  }
  return {};
}

// The answers to a question's prompts as one, which `next` is moved behind.
Answer TakeAnswer(const Question& question, std::vector<Answer>::iterator& next) {
  Answer answer = std::move(*next++);
  for (size_t p = 1; p < question.prompts.size(); ++p, ++next) {
    answer.log_likelihood.insert(answer.log_likelihood.end(), next->log_likelihood.begin(),
                                 next->log_likelihood.end());
    answer.greedy.insert(answer.greedy.end(), next->greedy.begin(), next->greedy.end());
  }
  return answer;
}

}  // namespace

size_t LongestRequest(const tokenizer::Tokenizer& tokenizer, const TaskFile& task,
                      const QuestionSet& set, bool parse_special) {
  const bool generates = task.kind == RequestKind::kGenerate;
  const size_t added = generates ? task.generate.max_tokens : 0;
  size_t longest = 0;
  for (const Question& question : set.questions) {
    for (size_t k = 0; k < question.size(); ++k) {
      const std::string text =
          question.prompt(k) + (generates ? "" : task.delimiter + question.choice(k));
      // No more tokens than bytes, BOS and an added leading space.
      if (text.size() + 2 + added <= longest) continue;
      longest = std::max(longest, EncodePrompt(tokenizer, text, parse_special).size() + added);
    }
  }
  return longest;
}

QuestionSetResult EvaluateQuestions(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                    const TaskFile& task, const QuestionSet& set,
                                    const QuestionOptions& options) {
  Scored scored = Ask(engine, tokenizer, task, set, options);
  QuestionSetResult result{set.name, set.group, {}, scored.truncated};
  result.shortened = scored.shortened;
  result.resumed = scored.resumed;
  const AnswerReader reader(task.generate);
  auto next = scored.answers.begin();
  for (const Question& question : set.questions) {
    Answer answer = TakeAnswer(question, next);
    switch (task.kind) {
      case RequestKind::kChoices:
        result.outcomes.push_back(JudgeQuestion(task, question, std::move(answer.log_likelihood),
                                                std::move(answer.greedy)));
        break;
      case RequestKind::kGenerate:
        result.outcomes.push_back(JudgeGenerated(
            task, reader, question, std::move(answer.generated), options.program_runner));
        break;
      case RequestKind::kRolling:
        result.outcomes.push_back(JudgeText(task, question, answer.log_likelihood[0]));
        break;
    }
  }
  return result;
}

}  // namespace crossover::evals
