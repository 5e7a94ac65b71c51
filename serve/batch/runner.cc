#include "serve/batch/runner.h"

#include <chrono>
#include <exception>
#include <utility>

#include "engine/model/vocabulary_rows.h"

namespace crossover::serve {

Runner::Runner(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer, RunnerOptions options)
    : engine_(engine),
      tokenizer_(tokenizer),
      options_(std::move(options)),
      memo_(options_.memo_tokens) {
  engine::CheckRows(engine.model(), tokenizer);
  MakeScheduler();
  Publish(0);
  thread_ = std::thread([this] { Run(); });
}

Runner::~Runner() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Runner::MakeScheduler() {
  scheduler_ = std::make_unique<engine::Scheduler>(
      engine_, engine::SchedulerOptions{.max_sequences = options_.slots,
                                        .prompt_tokens_beside = options_.prompt_tokens_beside});
}

std::optional<std::vector<Runner::JobId>> Runner::Submit(std::vector<Work> work) {
  std::vector<JobId> ids;
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || unfinished_ + work.size() > room()) return std::nullopt;
    unfinished_ += work.size();
    for (Work& one : work) {
      ids.push_back(next_id_++);
      arrivals_.emplace_back(ids.back(), std::move(one));
    }
  }
  wake_.notify_one();
  return ids;
}

void Runner::Cancel(JobId job) {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(job);
  }
  wake_.notify_one();
}

RunnerState Runner::state() const {
  const std::lock_guard lock(mutex_);
  RunnerState state = state_;
  state.waiting = unfinished_ - std::min(unfinished_, state.running);
  return state;
}

void Runner::Run() {
  bool busy = false;
  while (TakeCommands(/*wait=*/!busy)) busy = Pass();
  jobs_.clear();
  scheduler_.reset();
}

// False once it shall stop.
bool Runner::TakeCommands(bool wait) {
  std::vector<std::pair<JobId, Work>> arrivals;
  std::vector<JobId> cancelled;
  {
    std::unique_lock lock(mutex_);
    if (wait) {
      wake_.wait(lock, [this] { return stop_ || !arrivals_.empty() || !cancelled_.empty(); });
    }
    if (stop_) return false;
    arrivals.swap(arrivals_);
    cancelled.swap(cancelled_);
  }
  for (auto& [id, work] : arrivals) Begin(id, std::move(work));
  for (const JobId id : cancelled) Drop(id);
  return true;
}

void Runner::Begin(JobId id, Work work) {
  std::shared_ptr<RunningJob> job;
  try {
    job = std::make_shared<RunningJob>(std::move(work.job), work.on_update, engine_, tokenizer_);
    jobs_[id] = {job};
    if (job->job().score_prompt) {
      std::vector<TokenScore> known;
      memo_.Recall(job->job().prompt, *job->job().top, known);
      job->Know(std::move(known));
    }
    const bool nothing_to_read = job->FirstRow() == job->job().prompt.size();
    if (nothing_to_read) return End(id, std::nullopt, {});
    jobs_[id].request = scheduler_->Submit(MakeRequest(id, job));
  } catch (const std::exception& error) {
    if (job != nullptr) return End(id, std::nullopt, error.what());
    const std::lock_guard lock(mutex_);
    --unfinished_;
    JobUpdate update;
    update.ended = true;
    update.error = error.what();
    work.on_update(std::move(update));
  }
}

engine::Request Runner::MakeRequest(JobId id, const std::shared_ptr<RunningJob>& job) {
  engine::Request request;
  request.tokens = job->job().prompt;
  request.logits_from = job->FirstRow();
  request.on_row = [job](size_t position, std::span<const float> logits) {
    job->OnRow(position, logits);
  };
  request.next = [this, job] {
    const size_t before = job->drawn();
    const auto token = job->Next();
    if (options_.on_token && job->drawn() > before) options_.on_token(*job);
    return token;
  };
  request.on_end = [this, id](engine::RequestEnd end) {
    if (end == engine::RequestEnd::kCancelled) return;
    const bool full = end == engine::RequestEnd::kOutOfMemory;
    if (full) return End(id, engine::GenerateEnd::kOutOfMemory, "the KV cache has no room left");
    End(id, std::nullopt, {});
  };
  return request;
}

void Runner::End(JobId id, std::optional<engine::GenerateEnd> end, const std::string& error) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  const std::shared_ptr<RunningJob> job = it->second.job;
  if (job->job().score_prompt && error.empty() && !end && !job->failed()) {
    memo_.Keep(job->job().prompt, *job->job().top, job->prompt_scores());
  }
  jobs_.erase(it);
  {
    const std::lock_guard lock(mutex_);
    --unfinished_;
  }
  Publish(0);  // whoever hears that it has ended finds its pages free
  job->OnEnd(end, error);
}

void Runner::Drop(JobId id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return;
  scheduler_->Cancel(it->second.request);
  jobs_.erase(it);
  {
    const std::lock_guard lock(mutex_);
    --unfinished_;
  }
  Publish(0);
}

// One pass; false if there is nothing to do.
bool Runner::Pass() {
  const auto start = std::chrono::steady_clock::now();
  try {
    if (!scheduler_->Step()) return false;
  } catch (const std::exception& error) {
    FailAll(error.what());
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  Publish(seconds.count());
  return true;
}

// A scheduler that has thrown may only be destroyed.
void Runner::FailAll(const std::string& error) {
  while (!jobs_.empty()) End(jobs_.begin()->first, std::nullopt, error);
  MakeScheduler();
}

void Runner::Publish(double seconds) {
  const std::lock_guard lock(mutex_);
  state_.running = scheduler_->running();
  state_.kv = engine_.kv().usage();
  state_.scheduler = scheduler_->stats();
  state_.pass_seconds += seconds;
}

}  // namespace crossover::serve
