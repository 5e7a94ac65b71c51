#include "evals/ask.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "evals/multiple_choice.h"
#include "evals/rolling.h"

namespace crossover::evals {
namespace {

using nlohmann::json;

std::string Dump(const json& request) { return DumpJson(request); }

// The answers to all items: those that the journal holds from there, the others by
// score(the items that are left, options). `request(item)` is all that was asked.
template <class Item, class Request, class Score>
Scored Ask(const std::vector<Item>& items, AnswerJournal* journal, const ScoreOptions& options,
           const Request& request, const Score& score) {
  if (journal == nullptr) return score(items, options);
  std::vector<Answer> answers(items.size());
  std::vector<Item> open;
  std::vector<size_t> place;
  std::vector<std::string> keys;
  for (size_t i = 0; i < items.size(); ++i) {
    std::string key = journal->Key(Dump({request(items[i]), options.parse_special}));
    if (const Answer* known = journal->Find(key)) {
      answers[i] = *known;
      continue;
    }
    open.push_back(items[i]);
    place.push_back(i);
    keys.push_back(std::move(key));
  }
  const size_t known = items.size() - open.size();
  ScoreOptions kept = options;
  kept.on_answer = [&](size_t i, const Answer& answer) { journal->Keep(keys[i], answer); };
  kept.progress = [&](size_t done, size_t) {
    if (options.progress) options.progress(known + done, items.size());
  };
  Scored scored;
  if (!open.empty()) scored = score(open, kept);
  for (size_t i = 0; i < open.size(); ++i) answers[place[i]] = std::move(scored.answers[i]);
  scored.answers = std::move(answers);
  scored.resumed = known;
  return scored;
}

}  // namespace

Scored AnswerChoices(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                     const std::vector<MultipleChoiceItem>& items, AnswerJournal* journal,
                     const ScoreOptions& options) {
  return Ask(
      items, journal, options,
      [](const MultipleChoiceItem& item) {
        return json{"choices", item.context, item.choices};
      },
      [&](const auto& open, const ScoreOptions& kept) {
        return ScoreMultipleChoice(engine, tokenizer, open, kept);
      });
}

Scored AnswerPrompts(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                     const std::vector<GenerationRequest>& items, AnswerJournal* journal,
                     const ScoreOptions& options) {
  return Ask(
      items, journal, options,
      [](const GenerationRequest& item) {
        return json{"generate", item.prompt, item.until, item.max_tokens, item.wanted};
      },
      [&](const auto& open, const ScoreOptions& kept) {
        return Generate(engine, tokenizer, open, kept);
      });
}

Scored AnswerTexts(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, AnswerJournal* journal,
                   const ScoreOptions& options) {
  return Ask(
      texts, journal, options,
      [](const std::string& text) {
        return json{"rolling", text};
      },
      [&](const auto& open, const ScoreOptions& kept) {
        return ScoreRolling(engine, tokenizer, open, kept);
      });
}

}  // namespace crossover::evals
