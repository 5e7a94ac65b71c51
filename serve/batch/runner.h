// Continuous batching: one thread owns the engine and its scheduler; jobs join the running batch
// when they come and leave it when they end or nobody wants them any more.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/run/engine.h"
#include "engine/run/scheduler.h"
#include "serve/batch/running_job.h"
#include "serve/batch/score_memo.h"
#include "serve/batch/text_job.h"

namespace crossover::serve {

struct RunnerOptions {
  size_t slots = 32;   // jobs in one pass
  size_t queue = 256;  // that wait for a slot
  /// Tokens of prompts in a pass beside running generations, so that these need not wait long.
  size_t prompt_tokens_beside = 128;
  size_t memo_tokens = size_t{1} << 18;
  /// Times of a job that has drawn a token, on the runner's thread; may be null.
  std::function<void(const RunningJob&)> on_token = {};
};

struct RunnerState {
  size_t running = 0;
  size_t waiting = 0;
  engine::KvUsage kv;
  engine::SchedulerStats scheduler;
  double pass_seconds = 0;  // in passes, since the start
};

class Runner {
 public:
  using JobId = uint64_t;

  /// `engine` and `tokenizer` must outlive it; nobody else uses the engine.
  Runner(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer, RunnerOptions options);
  /// Drops what is running, without calls.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  struct Work {
    TextJob job;
    OnUpdate on_update;  // on the runner's thread
  };
  /// All of them, or none where slots and queue have no room for all. Any thread.
  std::optional<std::vector<JobId>> Submit(std::vector<Work> work);
  /// Ends a job, if it has not ended, without a further call once the runner's thread sees it; its
  /// pages are free then. Any thread.
  void Cancel(JobId job);

  size_t room() const { return options_.slots + options_.queue; }
  RunnerState state() const;

 private:
  struct Entry {
    std::shared_ptr<RunningJob> job;
    engine::RequestId request = 0;
  };

  void Run();
  bool TakeCommands(bool wait);
  void Begin(JobId id, Work work);
  engine::Request MakeRequest(JobId id, const std::shared_ptr<RunningJob>& job);
  void End(JobId id, std::optional<engine::GenerateEnd> end, const std::string& error);
  void Drop(JobId id);
  bool Pass();
  void FailAll(const std::string& error);
  void MakeScheduler();
  void Publish(double seconds);

  engine::Engine& engine_;
  const tokenizer::Tokenizer& tokenizer_;
  const RunnerOptions options_;

  mutable std::mutex mutex_;  // of the following
  std::condition_variable wake_;
  std::vector<std::pair<JobId, Work>> arrivals_;
  std::vector<JobId> cancelled_;
  size_t unfinished_ = 0;  // jobs that arrived and have not ended
  JobId next_id_ = 1;
  bool stop_ = false;
  RunnerState state_;

  // Of the thread.
  std::unique_ptr<engine::Scheduler> scheduler_;
  std::map<JobId, Entry> jobs_;
  ScoreMemo memo_;
  std::thread thread_;
};

}  // namespace crossover::serve
