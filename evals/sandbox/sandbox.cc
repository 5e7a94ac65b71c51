// Every function that takes a SandboxPlan runs between fork and exec: nothing there but system
// calls.
#include "evals/sandbox/sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "evals/sandbox/syscall_filter.h"

namespace crossover::evals {
namespace {

// Where the new root is put together; every system has it, and the old one is out of reach after.
constexpr const char* kNewRoot = "/tmp";
constexpr const char* kWorkFolder = "/tmp/tmp";
constexpr size_t kOpenFiles = 64;

[[noreturn]] void Refuse(const SandboxPlan& plan, const char* what) {
  const int code = errno;
  std::array<char, 256> text{};
  const char* reason = strerrordesc_np(code);
  const auto end = fmt::format_to_n(text.data(), text.size(), "{}: {}", what,
                                    reason == nullptr ? "unknown error" : reason);
  (void)!write(plan.status, text.data(), std::min(end.size, text.size()));
  _exit(1);
}

void Require(const SandboxPlan& plan, bool done, const char* what) {
  if (!done) Refuse(plan, what);
}

bool WriteTo(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

// Limits on processes do not hold for root. An ordinary user stays itself, with its groups: only
// root may change them, and there is nothing of theirs in the new root.
void LeaveRoot(const SandboxPlan& plan) {
  if (geteuid() != 0) return;
  Require(plan, setgroups(0, nullptr) == 0, "leaving root's groups");
  Require(plan, setresgid(kNobody, kNobody, kNobody) == 0, "leaving root's group");
  Require(plan, setresuid(kNobody, kNobody, kNobody) == 0, "becoming another user than root");
}

void EnterNamespaces(const SandboxPlan& plan) {
  constexpr int kAll = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC |
                       CLONE_NEWUTS | CLONE_NEWCGROUP;
  Require(plan, unshare(kAll) == 0, "namespaces of its own (unshare)");
  prctl(PR_SET_DUMPABLE, 1);  // else /proc/self, with the maps below, stays with who it was before
  Require(plan, WriteTo("/proc/self/setgroups", "deny"), "/proc/self/setgroups");
  Require(plan, WriteTo("/proc/self/uid_map", plan.user_map), "/proc/self/uid_map");
  Require(plan, WriteTo("/proc/self/gid_map", plan.group_map), "/proc/self/gid_map");
}

bool SetMountFlags(const char* path, uint64_t flags, unsigned how) {
  mount_attr attributes{};
  attributes.attr_set = flags;
  return syscall(SYS_mount_setattr, AT_FDCWD, path, how, &attributes, sizeof(attributes)) == 0;
}

void AddFolder(const SandboxPlan& plan, const RootEntry& entry) {
  constexpr uint64_t kFlags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const char* target = entry.target.c_str();
  Require(plan, mkdir(target, 0755) == 0, target);
  // With all that is mounted below it: a part of a tree that others own cannot be had.
  Require(plan, mount(entry.source.c_str(), target, nullptr, MS_BIND | MS_REC, nullptr) == 0,
          "the system's folders (mount)");
  Require(plan, SetMountFlags(target, kFlags, AT_RECURSIVE),
          "read-only system folders (mount_setattr)");
}

void AddFile(const SandboxPlan& plan, const RootEntry& entry) {
  // What is written to a device does not count as written to its mount.
  constexpr uint64_t kFlags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  const char* target = entry.target.c_str();
  const int place = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  Require(plan, place >= 0, target);
  close(place);
  Require(plan, mount(entry.source.c_str(), target, nullptr, MS_BIND, nullptr) == 0,
          "devices (mount)");
  Require(plan, SetMountFlags(target, kFlags, 0), "devices (mount_setattr)");
}

void FillRoot(const SandboxPlan& plan) {
  for (const RootEntry& entry : plan.root) {
    switch (entry.kind) {
      case RootEntry::Kind::kFolder:
        AddFolder(plan, entry);
        break;
      case RootEntry::Kind::kLink:
        Require(plan, symlink(entry.source.c_str(), entry.target.c_str()) == 0,
                entry.target.c_str());
        break;
      case RootEntry::Kind::kFile:
        AddFile(plan, entry);
        break;
    }
  }
}

// A new root in memory: the system's programs and libraries read-only, devices that hold nothing,
// an empty /proc, and a small /tmp. All else of the file system is not hidden but absent.
void EnterNewRoot(const SandboxPlan& plan) {
  Require(plan, mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  Require(plan,
          mount("none", kNewRoot, "tmpfs", MS_NOSUID | MS_NODEV,
                "mode=0755,size=256k,nr_inodes=64") == 0,
          "a root of its own (tmpfs)");
  for (const char* folder : {"/tmp/dev", "/tmp/proc", "/tmp/etc", kWorkFolder}) {
    Require(plan, mkdir(folder, 0755) == 0, folder);
  }
  FillRoot(plan);
  Require(plan,
          mount("none", kWorkFolder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                plan.directory_options.c_str()) == 0,
          "an empty /tmp");
  Require(plan,
          SetMountFlags(kNewRoot, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0),
          "a read-only root (mount_setattr)");
  Require(plan, chdir(kNewRoot) == 0, "a root of its own (chdir)");
  // The old root is put on top of the new one, and taken away: no folder for it is needed.
  Require(plan, syscall(SYS_pivot_root, ".", ".") == 0, "a root of its own (pivot_root)");
  Require(plan, umount2(".", MNT_DETACH) == 0, "a root of its own (umount)");
  Require(plan, chdir("/tmp") == 0, "an empty /tmp");
}

void Limit(const SandboxPlan& plan, decltype(RLIMIT_CPU) what, size_t most) {
  const rlimit limit{most, most};
  Require(plan, setrlimit(what, &limit) == 0, "limits (setrlimit)");
}

void SetLimits(const SandboxPlan& plan) {
  Limit(plan, RLIMIT_CPU, plan.limits.cpu_seconds);
  Limit(plan, RLIMIT_AS, plan.limits.memory_bytes);
  Limit(plan, RLIMIT_FSIZE, plan.limits.file_bytes);
  Limit(plan, RLIMIT_NPROC, plan.limits.processes);
  Limit(plan, RLIMIT_NOFILE, kOpenFiles);
  Limit(plan, RLIMIT_CORE, 0);
  Limit(plan, RLIMIT_MEMLOCK, 0);
  Limit(plan, RLIMIT_MSGQUEUE, 0);
}

// The plan's descriptors may be any, also those that the driver wants others at: first out of the
// way, then to their places. All others close when the program begins.
void PlaceDescriptors(SandboxPlan& plan) {
  constexpr int kOutOfTheWay = 16;
  constexpr std::array kPlaces{STDIN_FILENO,       STDOUT_FILENO,     STDERR_FILENO,
                               kProgramDescriptor, kSecretDescriptor, kVerdictDescriptor};
  std::array<int, kPlaces.size()> moved{plan.nothing, plan.output, plan.output,
                                        plan.program, plan.secret, plan.verdict};
  for (int& fd : moved) {
    fd = fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
    Require(plan, fd >= 0, "descriptors (fcntl)");
  }
  const int status = fcntl(plan.status, F_DUPFD_CLOEXEC, kOutOfTheWay);
  Require(plan, status >= 0, "descriptors (fcntl)");
  plan.status = status;
  for (size_t i = 0; i < kPlaces.size(); ++i) dup2(moved[i], kPlaces[i]);
  Require(plan, syscall(SYS_close_range, kVerdictDescriptor + 1U, ~0U, CLOSE_RANGE_CLOEXEC) == 0,
          "closing files");
}

[[noreturn]] void BecomeProgram(SandboxPlan& plan) {
  PlaceDescriptors(plan);
  SetLimits(plan);
  Require(plan, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  Require(plan, InstallSyscallFilter(plan.filter), "a filter of system calls (seccomp)");
  const char* const words[] = {plan.python.c_str(), "-I", "-B", "-c", plan.driver.c_str(), nullptr};
  const char* const environment[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", nullptr};
  execve(words[0], const_cast<char**>(words), const_cast<char**>(environment));
  Refuse(plan, words[0]);
}

// Waits for one's child and ends as it did. Meanwhile no file is held: that the status pipe has no
// writer any more tells the parent that the program has begun.
[[noreturn]] void EndLike(pid_t child) {
  syscall(SYS_close_range, 0U, ~0U, 0);
  int status = 0;
  while (true) {
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) _exit(1);
  }
  _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

RootEntry SystemFolder(const std::string& path) {
  std::error_code error;
  const std::string target = kNewRoot + path;
  if (!std::filesystem::is_symlink(path, error)) {
    return {RootEntry::Kind::kFolder, path, target};
  }
  return {RootEntry::Kind::kLink, std::filesystem::read_symlink(path, error).string(), target};
}

}  // namespace

std::vector<RootEntry> SystemRoot() {
  std::vector<RootEntry> root;
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) root.push_back(SystemFolder(path));
  }
  // ld.so.cache says where libraries lie; a system may do without it.
  for (const char* path :
       {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/etc/ld.so.cache"}) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    root.push_back({RootEntry::Kind::kFile, path, std::string(kNewRoot) + path});
  }
  return root;
}

// unshare gives the next child the process namespace, in which it is number 1: when it ends, the
// kernel ends everything in there. The program itself is number 2, a process like any other. This
// process and number 1 stay copies of the parent with all of its memory: their size is none of the
// program's.
[[noreturn]] void RunInSandbox(SandboxPlan& plan) {
  setsid();
  LeaveRoot(plan);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_DFL);
  EnterNamespaces(plan);
  EnterNewRoot(plan);
  const pid_t first = fork();
  Require(plan, first >= 0, "a process of its own (fork)");
  if (first > 0) EndLike(first);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const pid_t program = fork();
  Require(plan, program >= 0, "a process of its own (fork)");
  if (program > 0) EndLike(program);
  BecomeProgram(plan);
}

}  // namespace crossover::evals
