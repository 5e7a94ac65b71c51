#include "serve/batch/running_job.h"

#include <cmath>

#include "base/error.h"
#include "engine/run/non_finite.h"

namespace crossover::serve {

RunningJob::RunningJob(TextJob job, OnUpdate on_update, const engine::Engine& engine,
                       const tokenizer::Tokenizer& tokenizer)
    : job_(std::move(job)),
      on_update_(std::move(on_update)),
      engine_(engine),
      tokens_(tokenizer.size()) {
  if (job_.score_prompt) prompt_scores_.resize(job_.prompt.size() - 1);
  job_.options.on_text = [this](const std::string& text) {
    update_.text += text;
    return true;
  };
  if (job_.options.max_tokens > 0) generation_.emplace(tokenizer, job_.prompt, job_.options);
}

void RunningJob::Know(std::vector<TokenScore> scores) {
  known_ = scores.size();
  std::ranges::move(scores, prompt_scores_.begin());
}

size_t RunningJob::FirstRow() const {
  const size_t last = job_.prompt.size() - 1;
  if (job_.score_prompt && known_ < last) return known_;
  return generation_ ? last : job_.prompt.size();
}

void RunningJob::OnRow(size_t position, std::span<const float> logits) noexcept {
  const size_t top = job_.top.value_or(0);
  if (position + 1 < job_.prompt.size()) {
    prompt_scores_[position] = ScoreToken(logits, tokens_, job_.prompt[position + 1], top);
  } else if (generation_) {
    generation_->Choose(logits);
    if (job_.top) score_ = ScoreToken(logits, tokens_, generation_->chosen(), top);
  }
}

std::optional<TokenId> RunningJob::Next() {
  try {
    for (const TokenScore& score : prompt_scores_) {
      if (drawn_ == 0 && std::isnan(score.log_p)) {
        engine::ThrowNonFinite(engine_, job_.prompt, "the prompt");
      }
    }
    if (!generation_) return std::nullopt;
    const std::optional<TokenId> token = generation_->Advance(engine_, job_.prompt);
    ++drawn_;
    ++update_.drawn;
    if (job_.top) update_.scores.push_back(std::move(score_));
    Time();
    if (token && job_.stream) Tell();
    return token;
  } catch (const std::exception& error) {
    error_ = error.what();
    return std::nullopt;
  }
}

void RunningJob::Time() {
  const auto now = Clock::now();
  const auto since = [now](Clock::time_point then) {
    return std::chrono::duration<double>(now - then).count();
  };
  if (!first_token_seconds_) first_token_seconds_ = since(start_);
  last_gap_seconds_ = since(last_token_);
  last_token_ = now;
}

// Tokens whose text is held back wait for it, unless somebody wants their scores.
void RunningJob::Tell() {
  const bool news = !update_.text.empty() || !update_.scores.empty() || update_.ended;
  if (!news) return;
  if (!prompt_told_) update_.prompt_scores = prompt_scores_;
  prompt_told_ = true;
  on_update_(std::exchange(update_, {}));
}

void RunningJob::OnEnd(std::optional<engine::GenerateEnd> end, const std::string& error) {
  update_.end = end.value_or(engine::GenerateEnd::kLength);
  if (generation_) update_.end = generation_->Finish(end).end;
  update_.error = error_.empty() ? error : error_;
  update_.ended = true;
  Tell();
}

}  // namespace crossover::serve
