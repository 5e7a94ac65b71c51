#include "evals/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"

namespace crossover::evals {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array kPythons = {"/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3"};
constexpr unsigned kNobody = 65534;
constexpr size_t kTailBytes = 4096;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read_end, write_end;
};

[[noreturn]] void Fail(const char* what) {
  const int code = errno;
  throw Error(ErrorCode::kIo, fmt::format("cannot {}: {}", what, std::strerror(code)));
}

Pipe MakePipe() {
  std::array<int, 2> fds{-1, -1};
  if (pipe2(fds.data(), O_CLOEXEC) != 0) Fail("make a pipe");
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return {Descriptor(fds[0]), Descriptor(fds[1])};
}

// What the child needs, made before the fork: behind it no memory may be asked for.
struct Plan {
  ProgramLimits limits;
  const char* python;
  int program, output, status;
  std::string user_map, group_map, directory_options;
};

// The rest runs in the child. Nothing there but system calls.

[[noreturn]] void Refuse(const Plan& plan, const char* what) {
  const int code = errno;
  std::array<char, 256> text{};
  const char* reason = strerrordesc_np(code);
  const auto end = fmt::format_to_n(text.data(), text.size(), "{}: {}", what,
                                    reason == nullptr ? "unknown error" : reason);
  (void)!write(plan.status, text.data(), std::min(end.size, text.size()));
  _exit(1);
}

void Require(const Plan& plan, bool done, const char* what) {
  if (!done) Refuse(plan, what);
}

bool WriteTo(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

// Limits on processes do not hold for root.
void LeaveRoot(const Plan& plan) {
  if (geteuid() != 0) return;
  Require(plan, setgroups(0, nullptr) == 0, "leaving root's groups");
  Require(plan, setresgid(kNobody, kNobody, kNobody) == 0, "leaving root's group");
  Require(plan, setresuid(kNobody, kNobody, kNobody) == 0, "becoming another user than root");
  prctl(PR_SET_DUMPABLE, 1);  // else /proc/self, with the maps below, stays root's
}

void EnterNamespaces(const Plan& plan) {
  constexpr int kAll =
      CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
  Require(plan, unshare(kAll) == 0, "namespaces of its own (unshare)");
  Require(plan, WriteTo("/proc/self/setgroups", "deny"), "/proc/self/setgroups");
  Require(plan, WriteTo("/proc/self/uid_map", plan.user_map), "/proc/self/uid_map");
  Require(plan, WriteTo("/proc/self/gid_map", plan.group_map), "/proc/self/gid_map");
}

// Everything read-only; other people's files and the doors to services (sockets) out of sight; a
// small /tmp in memory.
void CloseFiles(const Plan& plan) {
  Require(plan, mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  mount_attr read_only{};
  read_only.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  Require(
      plan,
      syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)) == 0,
      "a read-only file system (mount_setattr)");
  for (const char* hidden : {"/run", "/home", "/root", "/proc", "/dev/shm"}) {
    const bool done = mount("none", hidden, "tmpfs", MS_RDONLY, "size=4k") == 0;
    Require(plan, done || errno == ENOENT, hidden);
  }
  Require(plan,
          mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, plan.directory_options.c_str()) == 0,
          "an empty /tmp");
  Require(plan, chdir("/tmp") == 0, "an empty /tmp");
}

void Limit(const Plan& plan, decltype(RLIMIT_CPU) what, size_t most) {
  const rlimit limit{most, most};
  Require(plan, setrlimit(what, &limit) == 0, "limits (setrlimit)");
}

[[noreturn]] void BecomeProgram(const Plan& plan) {
  Limit(plan, RLIMIT_CPU, plan.limits.cpu_seconds);
  Limit(plan, RLIMIT_AS, plan.limits.memory_bytes);
  Limit(plan, RLIMIT_FSIZE, plan.limits.file_bytes);
  Limit(plan, RLIMIT_NPROC, plan.limits.processes);
  Limit(plan, RLIMIT_CORE, 0);
  Require(plan, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  dup2(plan.program, STDIN_FILENO);
  dup2(plan.output, STDOUT_FILENO);
  dup2(plan.output, STDERR_FILENO);
  Require(plan, syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0, "closing files");
  const char* const words[] = {plan.python, "-I", "-", nullptr};
  const char* const environment[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", nullptr};
  execve(plan.python, const_cast<char**>(words), const_cast<char**>(environment));
  Refuse(plan, plan.python);
}

// Waits for one's child and ends as it did.
[[noreturn]] void EndLike(pid_t child) {
  int status = 0;
  while (true) {
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) _exit(1);
  }
  _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

// unshare gives the next child the process namespace, in which it is number 1: when it ends, the
// kernel ends everything in there. The program itself is number 2, a process like any other.
[[noreturn]] void RunInChild(const Plan& plan) {
  setsid();
  LeaveRoot(plan);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_DFL);
  EnterNamespaces(plan);
  CloseFiles(plan);
  const pid_t first = fork();
  Require(plan, first >= 0, "a process of its own (fork)");
  if (first > 0) EndLike(first);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const pid_t program = fork();
  Require(plan, program >= 0, "a process of its own (fork)");
  if (program > 0) EndLike(program);
  BecomeProgram(plan);
}

// From here on: the parent.

void Drain(int fd, std::string& tail) {
  std::array<char, 4096> buffer{};
  ssize_t n = 0;
  // A program that writes without end must not keep us here.
  for (int i = 0; i < 64 && (n = read(fd, buffer.data(), buffer.size())) > 0; ++i) {
    tail.append(buffer.data(), static_cast<size_t>(n));
    if (tail.size() > kTailBytes) tail.erase(0, tail.size() - kTailBytes);
  }
}

// The exit status as waitpid gives it; nothing if time was up and the process was killed.
bool Await(pid_t child, Clock::time_point deadline, int output, std::string& tail, int& status) {
  constexpr int kTickMilliseconds = 5;
  bool in_time = true;
  while (true) {
    const pid_t ended = waitpid(child, &status, in_time ? WNOHANG : 0);
    if (ended == child) break;
    pollfd polled{output, POLLIN, 0};
    poll(&polled, 1, kTickMilliseconds);
    Drain(output, tail);
    if (in_time && (Clock::now() > deadline || Interrupted())) {
      in_time = false;
      kill(-child, SIGKILL);
      kill(child, SIGKILL);
    }
  }
  Drain(output, tail);
  return in_time;
}

std::string LastLine(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t newline = text.rfind('\n');
  return std::string(newline == std::string_view::npos ? text : text.substr(newline + 1));
}

std::string Verdict(int status, const std::string& tail) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code == 0) return {};
  if (code == 128 + SIGKILL) return "killed: out of CPU time or memory";
  if (code > 128) return fmt::format("signal {}", code - 128);
  const std::string line = LastLine(tail);
  return line.empty() ? fmt::format("exit status {}", code) : line;
}

}  // namespace

ProgramRunner::ProgramRunner(const ProgramLimits& limits) : limits_(limits) {
  for (const char* python : kPythons) {
    if (python_.empty() && access(python, X_OK) == 0) python_ = python;
  }
  if (python_.empty()) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("generated programs need {}, which is not there; install python3",
                            kPythons[0]));
  }
  const std::string failure = Run("pass\n");
  if (failure.empty()) return;
  throw Error(ErrorCode::kUnsupported,
              fmt::format("generated programs cannot be run: an empty one ends by: {}", failure));
}

std::string ProgramRunner::Run(std::string_view program) const {
  const Descriptor source(memfd_create("program", MFD_CLOEXEC));
  if (source.get() < 0 ||
      write(source.get(), program.data(), program.size()) != static_cast<ssize_t>(program.size()) ||
      lseek(source.get(), 0, SEEK_SET) != 0) {
    Fail("write a program to a file in memory");
  }
  Pipe output = MakePipe();
  Pipe status_pipe = MakePipe();
  const bool is_root = geteuid() == 0;
  const Plan plan{limits_,
                  python_.c_str(),
                  source.get(),
                  output.write_end.get(),
                  status_pipe.write_end.get(),
                  fmt::format("{} {} 1", kNobody, is_root ? kNobody : geteuid()),
                  fmt::format("{} {} 1", kNobody, is_root ? kNobody : getegid()),
                  fmt::format("mode=0777,size={}", limits_.directory_bytes)};
  const auto deadline = Clock::now() + limits_.wall;
  const pid_t child = fork();
  if (child < 0) Fail("start a process");
  if (child == 0) RunInChild(plan);
  output.write_end = Descriptor();
  status_pipe.write_end = Descriptor();
  std::string tail;
  int status = 0;
  const bool in_time = Await(child, deadline, output.read_end.get(), tail, status);
  ThrowIfInterrupted();
  std::string refusal;
  Drain(status_pipe.read_end.get(), refusal);
  if (!refusal.empty()) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("generated programs are run only where the system lets them be shut in; "
                    "it refuses {}",
                    refusal));
  }
  return in_time ? Verdict(status, tail) : "time limit";
}

}  // namespace crossover::evals
