#include "evals/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/pipe.h"
#include "evals/sandbox/memory_watch.h"
#include "evals/sandbox/sandbox.h"
#include "evals/sandbox/syscall_filter.h"

namespace crossover::evals {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array kPythons = {"/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3"};
constexpr size_t kTailBytes = 4096;
constexpr size_t kMostFiles = 1024;  // in /tmp: a file without bytes takes memory too

[[noreturn]] void Fail(const char* what) {
  const int code = errno;
  throw Error(ErrorCode::kIo, fmt::format("cannot {}: {}", what, std::strerror(code)));
}

// Of which the parent reads what there is and does not wait.
Pipe PipeToRead() {
  Pipe pipe = MakePipe();
  fcntl(pipe.read_end.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

constexpr size_t kSecretBytes = 32;

// The program's text becomes the main module's, as if Python had read it; what the driver needs
// afterwards it takes before, out of the names that the program may change.
constexpr const char* kDriver = R"(
import sys
def drive():
    from os import read, write
    with open(3, 'rb') as file:
        source = file.read()
    space = sys.modules['__main__'].__dict__
    del space['sys'], space['drive']
    exec(compile(source, '<program>', 'exec'), space)
    write(5, read(4, 64))
drive()
)";

std::string MakeSecret() {
  std::array<unsigned char, kSecretBytes / 2> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    Fail("get random bytes");
  }
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

Descriptor FileInMemory(std::string_view text) {
  Descriptor file(memfd_create("program", MFD_CLOEXEC));
  if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      lseek(file.get(), 0, SEEK_SET) != 0) {
    Fail("write a program to a file in memory");
  }
  return file;
}

void Drain(int fd, std::string& tail) {
  std::array<char, 4096> buffer{};
  ssize_t n = 0;
  // A program that writes without end must not keep us here.
  for (int i = 0; i < 64 && (n = read(fd, buffer.data(), buffer.size())) > 0; ++i) {
    tail.append(buffer.data(), static_cast<size_t>(n));
    if (tail.size() > kTailBytes) tail.erase(0, tail.size() - kTailBytes);
  }
}

// What the program and all that it started hold. The sandbox's two waiting processes are copies of
// this one, and so have the size of the model that is being evaluated: they do not count.
size_t WatchedBytes(pid_t sandbox) {
  size_t bytes = 0;
  for (const pid_t first : Children(sandbox)) bytes += BytesBelow(first);
  return bytes;
}

// Whether nobody can write to the pipe any more.
bool IsHungUp(int read_end) {
  pollfd polled{read_end, 0, 0};
  return poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0;
}

/// Waits for a program's end and brings about its end where it goes beyond its limits.
class Watch {
 public:
  /// `status`: a pipe that hangs up when the program takes its process over; until then that is a
  /// copy of this one.
  Watch(pid_t child, int status, const ProgramLimits& limits, Clock::time_point start)
      : child_(child), status_(status), limits_(limits), deadline_(start + limits.wall) {}

  /// Reads `output` meanwhile. The exit status as waitpid gives it.
  int Await(int output, std::string& tail) {
    constexpr int kTickMilliseconds = 5;
    int status = 0;
    while (waitpid(child_, &status, cut_short_.empty() ? WNOHANG : 0) != child_) {
      pollfd polled{output, POLLIN, 0};
      poll(&polled, 1, kTickMilliseconds);
      Drain(output, tail);
      if (cut_short_.empty()) Look();
    }
    Drain(output, tail);
    return status;
  }

  /// Why it was ended; empty if it ended by itself.
  const std::string& cut_short() const { return cut_short_; }
  size_t most_bytes() const { return most_bytes_; }

 private:
  void Look() {
    begun_ = begun_ || IsHungUp(status_);
    if (begun_) most_bytes_ = std::max(most_bytes_, WatchedBytes(child_));
    if (most_bytes_ > limits_.memory_bytes) {
      cut_short_ = "memory limit";
    } else if (Clock::now() > deadline_ || Interrupted()) {
      cut_short_ = "time limit";
    } else {
      return;
    }
    kill(-child_, SIGKILL);
    kill(child_, SIGKILL);
  }

  pid_t child_;
  int status_;
  bool begun_ = false;
  const ProgramLimits& limits_;
  Clock::time_point deadline_;
  std::string cut_short_;
  size_t most_bytes_ = 0;
};

std::string LastLine(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  return std::string(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

std::string Verdict(int status, const std::string& tail, bool came_to_its_end) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code == 0) return came_to_its_end ? "" : "left before its last line";
  if (code == 128 + SIGKILL) return "killed: out of CPU time or memory";
  if (code > 128) return fmt::format("signal {}", code - 128);
  const std::string line = LastLine(tail);
  return line.empty() ? fmt::format("exit status {}", code) : line;
}

std::string FindPython() {
  for (const char* python : kPythons) {
    if (access(python, X_OK) == 0) return python;
  }
  throw Error(
      ErrorCode::kUnsupported,
      fmt::format("generated programs need {}, which is not there; install python3", kPythons[0]));
}

}  // namespace

ProgramRunner::ProgramRunner(const ProgramLimits& limits)
    : limits_(limits), python_(FindPython()), filter_(SyscallFilter()) {
  // Without the children's sizes the memory is without a bound. The first lasts long enough to be
  // seen unless other programs hold this one up.
  for (const char* seconds : {"0.02", "0.2", "2"}) {
    const Outcome outcome = RunOnce(fmt::format("import time\ntime.sleep({})\n", seconds));
    if (!outcome.failure.empty()) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("generated programs cannot be run: an empty one ends by: {}",
                              outcome.failure));
    }
    if (outcome.most_bytes > 0) return;
  }
  throw Error(ErrorCode::kUnsupported,
              "generated programs are not run: /proc does not tell how much memory they take");
}

std::string ProgramRunner::Run(std::string_view program) const { return RunOnce(program).failure; }

ProgramRunner::Outcome ProgramRunner::RunOnce(std::string_view program) const {
  const Descriptor nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) Fail("open /dev/null");
  const std::string secret = MakeSecret();
  const Descriptor source = FileInMemory(program);
  const Descriptor secret_file = FileInMemory(secret);
  Pipe output = PipeToRead(), status_pipe = PipeToRead(), verdict = PipeToRead();
  const bool is_root = geteuid() == 0;
  SandboxPlan plan{.limits = limits_,
                   .python = python_,
                   .driver = kDriver,
                   .nothing = nothing.get(),
                   .program = source.get(),
                   .secret = secret_file.get(),
                   .verdict = verdict.write_end.get(),
                   .output = output.write_end.get(),
                   .status = status_pipe.write_end.get(),
                   .user_map = fmt::format("{} {} 1", kNobody, is_root ? kNobody : geteuid()),
                   .group_map = fmt::format("{} {} 1", kNobody, is_root ? kNobody : getegid()),
                   .directory_options = fmt::format("mode=0777,size={},nr_inodes={}",
                                                    limits_.directory_bytes, kMostFiles),
                   .root = SystemRoot(),
                   .filter = filter_};
  const auto start = Clock::now();
  const pid_t child = fork();
  if (child < 0) Fail("start a process");
  if (child == 0) RunInSandbox(plan);
  for (Pipe* pipe : {&output, &status_pipe, &verdict}) pipe->write_end.Close();
  std::string tail;
  Watch watch(child, status_pipe.read_end.get(), limits_, start);
  const int status = watch.Await(output.read_end.get(), tail);
  ThrowIfInterrupted();
  std::string refusal, word;
  Drain(status_pipe.read_end.get(), refusal);
  if (!refusal.empty()) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("generated programs are run only where the system lets them be shut in; "
                    "it refuses {}",
                    refusal));
  }
  Drain(verdict.read_end.get(), word);
  return {watch.cut_short().empty() ? Verdict(status, tail, word == secret) : watch.cut_short(),
          watch.most_bytes()};
}

}  // namespace crossover::evals
