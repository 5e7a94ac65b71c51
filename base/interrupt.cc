#include "base/interrupt.h"

#include <csignal>

#include "base/error.h"
#include "base/unfinished_files.h"

namespace crossover {
namespace {

// A signal handler can reach nothing but a global; this is the only one.
volatile std::sig_atomic_t interrupted = 0;

/// The second one: whoever sends it does not want to wait.
void OnImpatience(int signal) {
  RemoveUnfinishedFiles();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void OnSignal(int signal) {
  interrupted = signal;
  std::signal(signal, OnImpatience);
}

}  // namespace

void InstallInterruptHandlers() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  // A file-size limit or a reader that left then shows as a failed write, which is reported and
  // cleaned up after.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

bool Interrupted() { return interrupted != 0; }

bool TakeInterrupt() {
  if (interrupted != SIGINT) return false;
  interrupted = 0;
  std::signal(SIGINT, OnSignal);
  return true;
}

void ThrowIfInterrupted() {
  if (Interrupted())
    throw Error(ErrorCode::kInterrupted, "interrupted; nothing was left half written");
}

}  // namespace crossover
