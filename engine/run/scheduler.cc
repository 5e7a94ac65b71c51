#include "engine/run/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"

namespace crossover::engine {
namespace {

constexpr size_t kMinLogitRows = 16;
/// So many waiting requests are looked at for one that need not wait for another's pages.
constexpr size_t kLookAhead = 256;

/// By priority, then by order of Submit.
struct Key {
  int priority;
  RequestId id;
  bool operator<(const Key& other) const {
    return priority != other.priority ? priority > other.priority : id < other.id;
  }
};

struct Job {
  Key key;
  Request request;  // its tokens grow by what `next` gives
  /// Rows of the positions before this one are delivered, or not wanted.
  size_t next_row = 0;
  // While it runs:
  SequenceId sequence = 0;
  size_t fed = 0;  // tokens in the cache
  bool ended = false;

  const std::vector<TokenId>& tokens() const { return request.tokens; }
  size_t left() const { return tokens().size() - fed; }
  /// What may come from the cache: of what is wanted, and of one token at least, rows are computed.
  std::span<const TokenId> Attachable() const {
    return std::span(tokens()).first(std::min(next_row, tokens().size() - 1));
  }
};
using JobPointer = std::shared_ptr<Job>;

/// A job's share of a pass: its next `count` tokens.
struct Share {
  JobPointer job;
  size_t count;

  Chunk chunk() const {
    const size_t from = std::max(job->next_row, job->fed) - job->fed;
    return {job->sequence, std::span(job->tokens()).subspan(job->fed, count),
            job->request.on_row ? from : count};
  }
};

/// What is left of a pass.
struct Room {
  size_t tokens;
  size_t rows;

  /// The most that fits of a job from token `from` on.
  size_t Fit(const Job& job, size_t from) const {
    const size_t unwanted = job.next_row > from ? job.next_row - from : 0;
    const size_t by_rows = job.request.on_row ? unwanted + rows : SIZE_MAX;
    return std::min({job.tokens().size() - from, tokens, by_rows});
  }
  void Take(const Job& job, size_t from, size_t count) {
    tokens -= count;
    const size_t wanted_from = std::max(job.next_row, from);
    if (job.request.on_row && from + count > wanted_from) rows -= from + count - wanted_from;
  }
};

}  // namespace

class Scheduler::Impl {
 public:
  Impl(Engine& engine, const SchedulerOptions& options) : engine_(engine), options_(options) {
    const size_t row_bytes = engine.model().config().vocab * sizeof(float);
    max_rows_ = std::max(options.max_logit_bytes / row_bytes, kMinLogitRows);
    if (options.max_sequences == 0) {
      throw Error(ErrorCode::kInvalidArgument, "a scheduler needs room for one sequence at least");
    }
  }
  ~Impl() {
    for (const auto& entry : running_) engine_.FreeSequence(entry.second->sequence);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  RequestId Submit(Request request) {
    Check(request);
    auto job = std::make_shared<Job>();
    job->key = {request.priority, next_id_++};
    job->next_row = std::min(request.logits_from, request.tokens.size());
    if (request.logits_from == Request::kLastRow) --job->next_row;
    job->request = std::move(request);
    waiting_[job->key] = job;
    return job->key.id;
  }

  void Cancel(RequestId id) {
    for (auto* jobs : {&running_, &waiting_}) {
      const auto it = std::ranges::find_if(*jobs, [&](auto& e) { return e.first.id == id; });
      if (it == jobs->end()) continue;
      const JobPointer job = it->second;
      return End(*job, RequestEnd::kCancelled);
    }
  }

  bool Step() {
    if (running_.empty() && waiting_.empty()) return false;
    Plan();
    MakeFit();
    if (!pass_.empty()) RunPass();
    return true;
  }

  size_t running() const { return running_.size(); }
  size_t waiting() const { return waiting_.size(); }
  const SchedulerStats& stats() const { return stats_; }

 private:
  using Jobs = std::map<Key, JobPointer>;

  void Check(const Request& request) const {
    const size_t vocab = engine_.model().config().vocab;
    const size_t room = engine_.kv().pages() * engine_.kv().layout().page_tokens;
    if (request.tokens.empty()) throw Error(ErrorCode::kInvalidArgument, "a request has no tokens");
    for (const TokenId id : request.tokens) {
      if (id >= 0 && static_cast<size_t>(id) < vocab) continue;
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("token id {} is outside the vocabulary of {}", id, vocab));
    }
    if (request.tokens.size() > room) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("a request of {} tokens does not fit the KV cache of {}; ask for a "
                              "larger context",
                              request.tokens.size(), room));
    }
  }

  // --- What goes into a pass -----------------------------------------------------------------

  void Plan() {
    pass_.clear();
    room_ = {engine_.options().max_batch, max_rows_};
    AddGenerations();
    if (!pass_.empty()) room_.tokens = std::min(room_.tokens, options_.prompt_tokens_beside);
    AddPrompts();
    Admit();
    // What was kept for others and nobody took.
    for (Share& share : pass_) {
      const size_t from = share.job->fed + share.count;
      const size_t more = room_.Fit(*share.job, from);
      room_.Take(*share.job, from, more);
      share.count += more;
    }
  }

  void Add(const JobPointer& job, size_t count) {
    if (count == 0) return;
    room_.Take(*job, job->fed, count);
    pass_.push_back({job, count});
  }

  // Generations take one token each, beginning behind the one that was served last. If there are
  // more sequences than a pass has tokens, all take turns.
  void AddGenerations() {
    const bool crowded = Crowded();
    std::vector<JobPointer> jobs;
    for (const auto& entry : running_) {
      if (entry.second->left() == 1 || crowded) jobs.push_back(entry.second);
    }
    const auto first = std::ranges::find_if(jobs, [&](auto& j) { return last_served_ < j->key; });
    std::rotate(jobs.begin(), first, jobs.end());
    for (const JobPointer& job : jobs) {
      if (room_.Fit(*job, job->fed) == 0) return;
      Add(job, 1);
      last_served_ = job->key;
    }
  }

  bool Crowded() const { return running_.size() > engine_.options().max_batch; }

  void AddPrompts() {
    if (Crowded()) return;
    for (const auto& entry : running_) {
      if (entry.second->left() > 1) AddPrompt(entry.second);
    }
  }

  void AddPrompt(const JobPointer& job) {
    const size_t most = engine_.options().max_batch;
    size_t count = room_.Fit(*job, job->fed);
    if (job->left() > most) count = std::min(count, room_.tokens - room_.tokens / 4);
    Add(job, count);
  }

  // --- Who begins ------------------------------------------------------------------------------

  void Admit() {
    size_t looked_at = 0;
    for (auto it = waiting_.begin(); it != waiting_.end() && looked_at < kLookAhead; ++looked_at) {
      if (running_.size() >= options_.max_sequences) return;
      const JobPointer job = it->second;
      if (ShouldWait(*job)) {
        ++it;
        continue;
      }
      Begin(*job);
      if (!HasRoom(*job)) {
        engine_.FreeSequence(job->sequence);
        if (!running_.empty()) return;
        // Pages are taken by sequences that are none of ours.
        waiting_.erase(it);
        return Finish(*job, RequestEnd::kOutOfMemory);
      }
      stats_.attached += job->fed;
      it = waiting_.erase(it);
      running_[job->key] = job;
      AddPrompt(job);
    }
  }

  // Whether a prompt that is being fed is going to leave pages which this one could begin with.
  bool ShouldWait(const Job& job) {
    if (!job.request.share) return false;
    const size_t page = engine_.kv().layout().page_tokens;
    const auto own = job.Attachable();
    for (const auto& [key, other] : running_) {
      if (!other->request.share || other->left() <= 1) continue;
      const auto& tokens = other->tokens();
      const auto common = static_cast<size_t>(std::ranges::mismatch(own, tokens).in1 - own.begin());
      if (common / page * page <= other->fed / page * page) continue;
      if (common / page * page > engine_.kv().CachedLength(own)) return true;
    }
    return false;
  }

  void Begin(Job& job) {
    job.sequence = job.request.share ? engine_.CreateSharedSequence(job.Attachable())
                                     : engine_.CreateSequence();
    job.fed = engine_.length(job.sequence);
  }

  // For the whole prompt, and a page for each sequence to grow into: whoever begins should not be
  // the next to be preempted.
  bool HasRoom(const Job& job) const {
    const size_t page = engine_.kv().layout().page_tokens;
    size_t needed = (job.tokens().size() + page - 1) / page - job.fed / page;
    for (const auto& entry : running_) needed += 1 + entry.second->left() / page;
    return running_.empty() ? FitsAlone(job) : needed <= engine_.kv().available_pages();
  }

  bool FitsAlone(const Job& job) const {
    const KvCache::Extension extension{job.sequence, std::span(job.tokens()).subspan(job.fed)};
    return engine_.kv().Fits({&extension, 1});
  }

  // --- When pages run out --------------------------------------------------------------------

  bool Fits(std::span<const Share> shares) const {
    std::vector<KvCache::Extension> extensions;
    for (const Share& share : shares) {
      extensions.push_back({share.job->sequence, share.chunk().tokens});
    }
    return engine_.kv().Fits(extensions);
  }

  void MakeFit() {
    while (!Fits(pass_)) {
      const bool preempt = options_.when_full == WhenFull::kPreempt && running_.size() > 1;
      const JobPointer victim = preempt ? std::prev(running_.end())->second : FirstThatDoesNotFit();
      std::erase_if(pass_, [&](const Share& share) { return share.job == victim; });
      if (preempt) {
        Preempt(victim);
      } else {
        End(*victim, RequestEnd::kOutOfMemory);
      }
    }
  }

  JobPointer FirstThatDoesNotFit() const {
    size_t count = 1;
    while (Fits(std::span(pass_).first(count))) ++count;
    return pass_[count - 1].job;
  }

  void Preempt(const JobPointer& job) {
    ++stats_.preemptions;
    running_.erase(job->key);
    engine_.FreeSequence(job->sequence);
    job->fed = 0;
    waiting_[job->key] = job;
  }

  // --- The pass --------------------------------------------------------------------------------

  void RunPass() {
    std::vector<Chunk> batch;
    struct Row {
      const Job* job;
      size_t position;
    };
    std::vector<Row> rows;
    for (const Share& share : pass_) {
      batch.push_back(share.chunk());
      stats_.tokens += share.count;
      for (size_t i = batch.back().logits_from; i < share.count; ++i) {
        rows.push_back({share.job.get(), share.job->fed + i});
      }
    }
    ++stats_.passes;
    const Logits logits = engine_.Forward(batch);
    const int threads = static_cast<int>(engine_.options().threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].job->request.on_row(rows[i].position, logits.row(i));
    }
    for (const Share& share : pass_) {
      share.job->fed += share.count;
      share.job->next_row = std::max(share.job->next_row, share.job->fed);
    }
    std::ranges::sort(pass_, {}, [](const Share& share) { return share.job->key.id; });
    for (const Share& share : pass_) Advance(*share.job);
    pass_.clear();
  }

  void Advance(Job& job) {
    if (job.ended || job.left() > 0) return;
    const std::optional<TokenId> token = job.request.next ? job.request.next() : std::nullopt;
    if (job.ended) return;  // cancelled by its own callback
    if (!token) return End(job, RequestEnd::kFinished);
    job.request.tokens.push_back(*token);
  }

  void End(Job& job, RequestEnd end) {
    if (running_.contains(job.key)) engine_.FreeSequence(job.sequence);
    running_.erase(job.key);
    waiting_.erase(job.key);
    Finish(job, end);
  }

  static void Finish(Job& job, RequestEnd end) {
    job.ended = true;
    if (job.request.on_end) job.request.on_end(end);
  }

  Engine& engine_;
  const SchedulerOptions options_;
  size_t max_rows_;
  Jobs waiting_;
  Jobs running_;
  RequestId next_id_ = 0;
  Key last_served_{INT32_MAX, 0};
  std::vector<Share> pass_;
  Room room_{};
  SchedulerStats stats_;
};

Scheduler::Scheduler(Engine& engine, const SchedulerOptions& options)
    : impl_(std::make_unique<Impl>(engine, options)) {}
Scheduler::~Scheduler() = default;

RequestId Scheduler::Submit(Request request) { return impl_->Submit(std::move(request)); }
void Scheduler::Cancel(RequestId request) { impl_->Cancel(request); }
bool Scheduler::Step() { return impl_->Step(); }

void Scheduler::Run() {
  do {
    ThrowIfInterrupted();
  } while (Step());
}

size_t Scheduler::running() const { return impl_->running(); }
size_t Scheduler::waiting() const { return impl_->waiting(); }
const SchedulerStats& Scheduler::stats() const { return impl_->stats(); }

}  // namespace crossover::engine
