#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/visible_text.h"

namespace crossover {
namespace {

constexpr double kQuietSeconds = 2.0;
constexpr int kBarWidth = 28;

std::string Duration(double seconds) {
  const auto s = std::llround(seconds);
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

Progress::Progress(std::string label, uint64_t total, bool enabled)
    : label_(std::move(label)),
      total_(std::max<uint64_t>(total, 1)),
      enabled_(enabled && isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void Progress::Update(uint64_t done) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  if (elapsed < kQuietSeconds || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  Draw(std::min(done, total_), elapsed);
}

void Progress::Draw(uint64_t done, double elapsed) {
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  const int filled = static_cast<int>(share * kBarWidth);
  const std::string eta = done == 0 ? "--:--" : Duration(elapsed / share - elapsed);
  fmt::print(stderr, "\r\x1b[K{} [{:=<{}}{: <{}}] {:3.0f} %  ETA {}  {}", VisibleText(label_), "",
             filled, "", kBarWidth - filled, share * 100, eta, VisibleText(note_));
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace crossover
