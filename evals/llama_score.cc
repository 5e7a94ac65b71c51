#include "evals/llama_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "base/error.h"
#include "evals/multiple_choice.h"
#include "evals/prompts.h"
#include "evals/statistics.h"

namespace crossover::evals {
namespace {

// Which of a continuation's tokens count: [from, to).
struct Counted {
  size_t from;
  size_t to;
};

struct Prepared {
  EncodedChoices encoded;        // the tokens in common, and what follows
  std::vector<Counted> counted;  // of each continuation
};

std::vector<TokenId> Encode(const tokenizer::Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.Encode(text, {.add_special = true, .parse_special = false});
}

// Of the beginning that all texts share; each keeps a token of its own at least.
size_t CommonLength(const std::vector<std::vector<TokenId>>& texts) {
  size_t common = texts[0].size();
  for (const auto& text : texts) {
    const auto end = std::mismatch(texts[0].begin(), texts[0].end(), text.begin(), text.end());
    common = std::min(common, static_cast<size_t>(end.first - texts[0].begin()));
    common = std::min(common, text.empty() ? 0 : text.size() - 1);
  }
  return common;
}

Prepared Prepare(const tokenizer::Tokenizer& tokenizer, LlamaScore score, const LlamaItem& item) {
  std::vector<std::vector<TokenId>> texts;
  for (const std::string& choice : item.choices) {
    texts.push_back(Encode(tokenizer, item.prefix + choice + item.suffix));
  }
  const size_t common = CommonLength(texts);
  if (common == 0) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("item {}: its texts have no first token in common, as the vocabulary "
                            "adds no BOS; nothing predicts where they differ",
                            item.number));
  }
  Prepared prepared;
  const auto shared = static_cast<std::ptrdiff_t>(common);
  prepared.encoded.context.assign(texts[0].begin(), texts[0].begin() + shared);
  constexpr size_t kMinTrailing = 3;  // tokens that differ, to leave the choice itself out
  const bool skip_choice = std::all_of(texts.begin(), texts.end(), [&](const auto& text) {
    return text.size() - common > kMinTrailing;
  });
  for (size_t k = 0; k < texts.size(); ++k) {
    const size_t size = texts[k].size();
    prepared.encoded.continuations.emplace_back(texts[k].begin() + shared, texts[k].end());
    Counted counted = {0, size - common};
    if (score == LlamaScore::kWinoGrande) {
      size_t from = common;
      if (skip_choice) from = Encode(tokenizer, item.prefix + item.choices[k]).size();
      from = std::clamp(from, common, size - 1);
      counted = {from - common, size - common - (size - from > 1 ? 1 : 0)};
    }
    prepared.counted.push_back(counted);
  }
  return prepared;
}

double Mean(const std::vector<TokenScore>& tokens, const Counted& counted) {
  double sum = 0;
  for (size_t t = counted.from; t < counted.to; ++t) sum += tokens[t].log_p;
  return sum / static_cast<double>(counted.to - counted.from);
}

LlamaOutcome Judge(LlamaScore score, const LlamaItem& item, const Prepared& prepared,
                   const std::vector<std::vector<TokenScore>>& choices) {
  LlamaOutcome outcome;
  for (size_t k = 0; k < choices.size(); ++k) {
    outcome.score.push_back(Mean(choices[k], prepared.counted[k]));
  }
  const auto& s = outcome.score;
  outcome.chosen = score == LlamaScore::kWinoGrande
                       ? (s[0] > s[1] ? 0 : 1)
                       : static_cast<size_t>(std::max_element(s.begin(), s.end()) - s.begin());
  outcome.correct = item.right[outcome.chosen];
  return outcome;
}

}  // namespace

std::pair<double, double> WilsonInterval(size_t hits, size_t n) {
  constexpr double kZ = 1.95996398454;
  const double count = static_cast<double>(n);
  const double p = static_cast<double>(hits) / count;
  const double z = kZ * kZ / count;
  const double middle = (p + z / 2) / (1 + z);
  const double half = kZ / (1 + z) * std::sqrt(p * (1 - p) / count + z / (4 * count));
  return {middle - half, middle + half};
}

LlamaResult EvaluateLlama(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                          const LlamaTask& task, const TaskProgress& progress) {
  LlamaResult result;
  std::vector<Prepared> prepared;
  std::vector<EncodedChoices> encoded;
  for (const LlamaItem& item : task.items) {
    prepared.push_back(Prepare(tokenizer, task.score, item));
    encoded.push_back(std::move(prepared.back().encoded));
  }
  result.truncated = FitContexts(engine, tokenizer, encoded);
  const auto scores = ScoreChoices(engine, encoded, {.progress = progress});
  size_t hits = 0;
  size_t choices = 0;
  for (size_t i = 0; i < task.items.size(); ++i) {
    result.outcomes.push_back(Judge(task.score, task.items[i], prepared[i], scores[i]));
    hits += result.outcomes.back().correct ? 1 : 0;
    choices += task.items[i].choices.size();
  }
  const size_t n = task.items.size();
  const Estimate p = Proportion(hits, n);
  result.metric = {.task = task.name,
                   .metric = "acc_tokens",
                   .value = p.value,
                   .standard_error = p.standard_error,
                   .n = n};
  for (const LlamaOutcome& outcome : result.outcomes) {
    result.metric.values.push_back(outcome.correct ? 1 : 0);
  }
  result.wilson = WilsonInterval(hits, n);
  result.chance = static_cast<double>(n) / static_cast<double>(choices);
  return result;
}

}  // namespace crossover::evals
