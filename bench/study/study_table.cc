#include "bench/study/study_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/visible_text.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr const char* kClearLine = "\r\x1b[K";  // the progress bar may stand there
constexpr double kUnits = 1000;                 // of work, for whole numbers
constexpr double kNearlyDone = 0.95;            // of a cell that takes longer than thought

double TotalWork(const std::vector<StudyCell>& cells) {
  double work = 0;
  for (const StudyCell& cell : cells) work += cell.work;
  return work;
}

uint64_t Units(double work) { return static_cast<uint64_t>(std::llround(work * kUnits)); }

}  // namespace

StudyTable::StudyTable(const std::string& study, const std::vector<StudyCell>& cells, bool quiet)
    : enabled_(!quiet && isatty(STDERR_FILENO) == 1),
      cells_(cells.size()),
      total_work_(TotalWork(cells)),
      progress_(study, Units(total_work_), !quiet) {
  for (const StudyCell& cell : cells) width_ = std::max(width_, cell.name.size());
}

double StudyTable::SecondsOfWork() const { return done_work_ > 0 ? done_seconds_ / done_work_ : 1; }

void StudyTable::Start(const StudyCell& cell) {
  cell_ = &cell;
  start_ = Clock::now();
  ++started_;
  Step("starting");
}

void StudyTable::Step(const std::string& what) {
  progress_.Note(fmt::format("{}/{} {}: {}", started_, cells_, cell_->name, what));
}

void StudyTable::Tick() {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double part = std::min(seconds / SecondsOfWork(), kNearlyDone * cell_->work);
  progress_.Update(Units(done_work_ + part));
}

void StudyTable::Finish(const StudyCell& cell, const CellRecord& record) {
  done_work_ += cell.work;
  done_seconds_ += std::chrono::duration<double>(Clock::now() - start_).count();
  if (!enabled_) return;
  if (!header_) {
    header_ = true;
    fmt::print(stderr, "{}{:<{}}  {:>5} {:>14} {:>13} {:>11} {:>13} {:>6}\n", kClearLine, "cell",
               width_, "BPW", "prefill tok/s", "decode tok/s", "perplexity", "bound changes", "s");
  }
  fmt::print(stderr, "{}{:<{}}  {}\n", kClearLine, VisibleText(cell.name), width_,
             VisibleText(StudyRow(record)));
}

void StudyTable::Skip(const StudyCell& cell) {
  ++started_;
  // As if it had gone at the same pace: the rest is what the estimate is for.
  done_seconds_ += cell.work * SecondsOfWork();
  done_work_ += cell.work;
}

std::string StudyRow(const CellRecord& record) {
  if (!record.ok()) return "FAILED " + record.error;
  const Measurement& m = *record.measurement;
  const auto median = [](const SpeedResult& speed) {
    return Significant(speed.summary().median) + Mark(speed.conditions);
  };
  std::string change = "-";
  if (m.crossover) {
    const auto tokens = m.crossover->tokens_at_change();
    change = tokens ? fmt::format("{} tokens", Significant(*tokens)) : "nowhere";
  }
  return fmt::format(
      "{:5.2f} {:>14} {:>13} {:>11} {:>13} {:6.1f}", m.effective_bpw,
      m.speed ? median(m.speed->prefill) : "-", m.speed ? median(m.speed->decode) : "-",
      m.perplexity ? fmt::format("{:.4f}", m.perplexity->ppl) : "-", change, record.seconds);
}

}  // namespace crossover::bench
