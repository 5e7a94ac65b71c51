#include "evals/rolling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/model/vocabulary_rows.h"
#include "engine/run/log_softmax.h"
#include "engine/run/non_finite.h"
#include "engine/run/scheduler.h"
#include "evals/prompts.h"

namespace crossover::evals {
namespace {

class Reader {
 public:
  Reader(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
         std::span<const std::string> texts, const ScoreOptions& options)
      : engine_(engine),
        options_(options),
        length_(WindowLength(engine)),
        texts_(texts.size()),
        scheduler_(engine) {
    for (size_t i = 0; i < texts.size(); ++i) {
      Text& text = texts_[i];
      text.tokens = tokenizer.Encode(texts[i], {.add_special = false, .parse_special = false});
      text.tokens.insert(text.tokens.begin(), PrefixToken(tokenizer));
      text.log_p.assign(text.tokens.size() - 1, std::numeric_limits<double>::quiet_NaN());
    }
  }

  Scored Run() {
    for (size_t i = 0; i < texts_.size(); ++i) {
      const auto windows = RollingWindows(texts_[i].log_p.size(), length_);
      texts_[i].open = windows.size();
      for (const RollingWindow& window : windows) Submit(i, window);
    }
    scheduler_.Run();
    Scored scored;
    for (const Text& text : texts_) scored.answers.push_back({{text.sum}, {}, {}});
    return scored;
  }

 private:
  struct Text {
    std::vector<TokenId> tokens;  // with the prefix token
    std::vector<double> log_p;    // of tokens[1 …]
    size_t open = 0;              // windows
    double sum = 0;
  };

  static size_t WindowLength(const engine::Engine& engine) {
    const size_t room = engine.kv().pages() * engine.kv().layout().page_tokens;
    return std::min(engine.model().config().context, room);
  }

  void Submit(size_t i, const RollingWindow& window) {
    Text& text = texts_[i];
    engine::Request request;
    request.tokens.assign(text.tokens.begin() + static_cast<std::ptrdiff_t>(window.begin),
                          text.tokens.begin() + static_cast<std::ptrdiff_t>(window.end));
    request.logits_from = request.tokens.size() - window.predicted;
    request.share = false;
    request.on_row = [&text, window](size_t position, std::span<const float> logits) {
      const engine::RowNormaliser row = engine::Normalise(logits);
      const size_t fed = window.begin + position;
      if (row.finite) text.log_p[fed] = LogProbability(row, logits, text.tokens[fed + 1]);
    };
    request.on_end = [this, i](engine::RequestEnd end) { Close(i, end); };
    scheduler_.Submit(std::move(request));
  }

  void Close(size_t i, engine::RequestEnd end) {
    if (end != engine::RequestEnd::kFinished) {
      throw Error(ErrorCode::kOutOfMemory,
                  fmt::format("item {}: the KV cache has no room left", i + 1));
    }
    Text& text = texts_[i];
    if (--text.open > 0) return;
    for (const double log_p : text.log_p) text.sum += log_p;
    if (!std::isfinite(text.sum)) {
      engine::ThrowNonFinite(engine_,
                             std::span(text.tokens).first(std::min(length_, text.tokens.size())),
                             fmt::format("item {}", i + 1));
    }
    if (options_.on_answer) options_.on_answer(i, {{text.sum}, {}, {}});
    if (options_.progress) options_.progress(++done_, texts_.size());
  }

  const engine::Engine& engine_;
  const ScoreOptions& options_;
  size_t length_;
  std::vector<Text> texts_;
  size_t done_ = 0;
  engine::Scheduler scheduler_;
};

}  // namespace

std::vector<RollingWindow> RollingWindows(size_t tokens, size_t length) {
  std::vector<RollingWindow> windows;
  for (size_t done = 0; done < tokens;) {
    // Position p of the text with its prefix predicts token p of the text.
    const size_t end = std::min(done + length, tokens);
    windows.push_back({end > length ? end - length : 0, end, end - done});
    done = end;
  }
  return windows;
}

Scored ScoreRolling(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                    std::span<const std::string> texts, const ScoreOptions& options) {
  engine::CheckRows(engine.model(), tokenizer);
  return Reader(engine, tokenizer, texts, options).Run();
}

}  // namespace crossover::evals
