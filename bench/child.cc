#include "bench/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/pipe.h"

extern char** environ;

namespace crossover::bench {
namespace {

constexpr int kTickMilliseconds = 200;
constexpr size_t kErrorTailBytes = 4096;

[[noreturn]] void FailToStart(const std::filesystem::path& executable, int error) {
  throw Error(ErrorCode::kIo,
              fmt::format("cannot start {}: {}", executable.string(), std::strerror(error)));
}

/// As exec wants them.
std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

pid_t Spawn(const std::filesystem::path& executable, const std::vector<std::string>& arguments,
            const ChildOptions& options, const Pipe& out, const Pipe& err) {
  std::vector<std::string> words{executable.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = options.environment.value_or(std::vector<std::string>());
  const std::vector<char*> argv = Pointers(words);
  const std::vector<char*> envp = Pointers(variables);

  // All of these may lack memory; a child without its streams must not be started.
  posix_spawn_file_actions_t actions;
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed != 0) FailToStart(executable, failed);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);  // led by the child
  sigset_t ignored_here;                      // which exec would not undo
  sigemptyset(&ignored_here);
  sigaddset(&ignored_here, SIGPIPE);
  sigaddset(&ignored_here, SIGXFSZ);
  posix_spawnattr_setsigdefault(&attributes, &ignored_here);
  failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  const auto connect = [&](int from, int to) {
    if (failed == 0) failed = posix_spawn_file_actions_adddup2(&actions, from, to);
  };
  connect(out.write_end.get(), STDOUT_FILENO);
  connect(err.write_end.get(), STDERR_FILENO);
  if (failed == 0 && !options.directory.empty()) {
    failed = posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());
  }
  pid_t pid = 0;
  if (failed == 0) {
    failed = posix_spawn(&pid, executable.c_str(), &actions, &attributes, argv.data(),
                         options.environment ? envp.data() : environ);
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) FailToStart(executable, failed);
  return pid;
}

/// Appends what is there to read; false at the end of the stream. An error is no end: what was read
/// until then would pass for all.
bool Drain(int fd, std::string& text) {
  std::array<char, 16384> buffer;
  const ssize_t n = read(fd, buffer.data(), buffer.size());
  if (n < 0) {
    if (errno != EINTR && errno != EAGAIN) ThrowErrno("cannot read", "what a process writes");
    return true;
  }
  text.append(buffer.data(), static_cast<size_t>(n));
  return n > 0;
}

bool Ended(pid_t pid) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid;
}

/// Reads both streams until the child has closed them. What it started may hold them open behind
/// its back: that goes with it.
void ReadStreams(pid_t pid, const Pipe& out, const Pipe& err, const std::function<void()>& tick,
                 ChildResult& result) {
  std::array<pollfd, 2> polled{pollfd{out.read_end.get(), POLLIN, 0},
                               pollfd{err.read_end.get(), POLLIN, 0}};
  const std::array<std::string*, 2> texts{&result.output, &result.error_tail};
  bool told = false;
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    poll(polled.data(), polled.size(), kTickMilliseconds);
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      if (!Drain(polled[i].fd, *texts[i])) polled[i].fd = -1;  // poll skips negative ones
    }
    if (result.error_tail.size() > kErrorTailBytes) {
      result.error_tail.erase(0, result.error_tail.size() - kErrorTailBytes);
    }
    if (Interrupted() && !std::exchange(told, true)) kill(-pid, SIGTERM);
    if (Ended(pid)) kill(-pid, SIGKILL);
    if (tick) tick();
  }
}

int Await(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string_view LastLine(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  return newline == std::string_view::npos ? text : text.substr(newline + 1);
}

}  // namespace

std::string ChildResult::Failure() const {
  if (signal != 0) {
    const char* hint = signal == SIGKILL ? ", perhaps for lack of memory" : "";
    return fmt::format("killed by signal {} ({}){}", signal, strsignal(signal), hint);
  }
  const std::string_view words = LastLine(error_tail);
  if (words.empty()) return fmt::format("ended with exit code {} and no message", exit_code);
  return std::string(words);
}

ChildResult RunChild(const std::filesystem::path& executable,
                     const std::vector<std::string>& arguments, const ChildOptions& options) {
  Pipe out = MakePipe();
  Pipe err = MakePipe();
  const pid_t pid = Spawn(executable, arguments, options, out, err);
  out.write_end.Close();
  err.write_end.Close();
  ChildResult result;
  try {
    ReadStreams(pid, out, err, options.tick, result);
  } catch (...) {  // no memory for what it wrote: nobody waits for it any more
    kill(-pid, SIGKILL);
    Await(pid);
    throw;
  }
  const int status = Await(pid);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  ThrowIfInterrupted();
  return result;
}

void DieWithParent(int parent_pid) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent_pid) raise(SIGKILL);
  std::ofstream("/proc/self/oom_score_adj") << 1000;  // raising it is anyone's right
}

}  // namespace crossover::bench
