// A job while the scheduler runs it: what its rows of logits become.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/run/engine.h"
#include "engine/run/generation.h"
#include "serve/batch/text_job.h"

namespace crossover::serve {

class RunningJob {
 public:
  using Clock = std::chrono::steady_clock;

  /// Error(kInvalidArgument) for options out of range.
  RunningJob(TextJob job, OnUpdate on_update, const engine::Engine& engine,
             const tokenizer::Tokenizer& tokenizer);
  RunningJob(const RunningJob&) = delete;
  RunningJob& operator=(const RunningJob&) = delete;

  const TextJob& job() const { return job_; }
  /// Scores of the prompt's beginning that are known already: of prompt[1 … scores.size()].
  void Know(std::vector<TokenScore> scores);
  /// The first position whose logits are wanted; the prompt's length: of none.
  size_t FirstRow() const;

  // As engine::Request has them.
  void OnRow(size_t position, std::span<const float> logits) noexcept;
  std::optional<TokenId> Next();
  void OnEnd(std::optional<engine::GenerateEnd> end, const std::string& error);

  /// Complete: of prompt[1 …].
  const std::vector<TokenScore>& prompt_scores() const { return prompt_scores_; }
  /// Since it was made, until its last token came; and how many have come.
  std::optional<double> first_token_seconds() const { return first_token_seconds_; }
  double last_gap_seconds() const { return last_gap_seconds_; }
  size_t drawn() const { return drawn_; }
  bool failed() const { return !error_.empty(); }

 private:
  void Tell();
  void Time();

  TextJob job_;
  const OnUpdate on_update_;
  const engine::Engine& engine_;
  const size_t tokens_;  // of the vocabulary
  std::optional<engine::Generation> generation_;
  std::vector<TokenScore> prompt_scores_;
  size_t known_ = 0;  // of these
  TokenScore score_;  // of the token that was chosen last
  JobUpdate update_;  // what is to be told next
  bool prompt_told_ = false;
  size_t drawn_ = 0;
  std::string error_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_token_ = start_;
  std::optional<double> first_token_seconds_;
  double last_gap_seconds_ = 0;
};

}  // namespace crossover::serve
