#include "evals/sandbox/syscall_filter.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "base/descriptor.h"
#include "base/error.h"

#if CROSSOVER_HAS_SECCOMP
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>

#include <cerrno>
#include <memory>
#include <span>
#endif

namespace crossover::evals {

#if CROSSOVER_HAS_SECCOMP
namespace {

constexpr std::array kFiles = {
    "access",     "chdir",      "chmod",      "close",     "close_range", "copy_file_range",
    "creat",      "dup",        "dup2",       "dup3",      "faccessat",   "faccessat2",
    "fadvise64",  "fchdir",     "fchmod",     "fchmodat",  "fchmodat2",   "fcntl",
    "fcntl64",    "fdatasync",  "flock",      "fstat",     "fstat64",     "fstatat64",
    "fstatfs",    "fsync",      "ftruncate",  "futimesat", "getcwd",      "getdents",
    "getdents64", "link",       "linkat",     "lseek",     "lstat",       "mkdir",
    "mkdirat",    "newfstatat", "open",       "openat",    "pipe",        "pipe2",
    "pread64",    "preadv",     "preadv2",    "pwrite64",  "pwritev",     "pwritev2",
    "read",       "readlink",   "readlinkat", "readv",     "rename",      "renameat",
    "renameat2",  "rmdir",      "sendfile",   "stat",      "statfs",      "statx",
    "symlink",    "symlinkat",  "truncate",   "umask",     "unlink",      "unlinkat",
    "utime",      "utimensat",  "utimes",     "write",     "writev"};
constexpr std::array kMemory = {"brk",      "madvise", "mincore", "mmap",  "mmap2",
                                "mprotect", "mremap",  "msync",   "munmap"};
constexpr std::array kProcesses = {"arch_prctl",
                                   "execve",
                                   "execveat",
                                   "exit",
                                   "exit_group",
                                   "fork",
                                   "getcpu",
                                   "getegid",
                                   "geteuid",
                                   "getgid",
                                   "getgroups",
                                   "getpgid",
                                   "getpgrp",
                                   "getpid",
                                   "getppid",
                                   "getpriority",
                                   "getresgid",
                                   "getresuid",
                                   "getrlimit",
                                   "getrusage",
                                   "getsid",
                                   "gettid",
                                   "getuid",
                                   "kill",
                                   "membarrier",
                                   "restart_syscall",
                                   "rseq",
                                   "sched_get_priority_max",
                                   "sched_get_priority_min",
                                   "sched_getaffinity",
                                   "sched_getparam",
                                   "sched_getscheduler",
                                   "sched_yield",
                                   "set_robust_list",
                                   "get_robust_list",
                                   "set_tid_address",
                                   "setpgid",
                                   "setrlimit",
                                   "setsid",
                                   "sysinfo",
                                   "tgkill",
                                   "times",
                                   "tkill",
                                   "ugetrlimit",
                                   "uname",
                                   "vfork",
                                   "wait4",
                                   "waitid"};
constexpr std::array kWaiting = {"alarm",
                                 "clock_getres",
                                 "clock_gettime",
                                 "clock_gettime64",
                                 "clock_nanosleep",
                                 "clock_nanosleep_time64",
                                 "epoll_create",
                                 "epoll_create1",
                                 "epoll_ctl",
                                 "epoll_pwait",
                                 "epoll_pwait2",
                                 "epoll_wait",
                                 "eventfd",
                                 "eventfd2",
                                 "futex",
                                 "futex_time64",
                                 "futex_waitv",
                                 "getitimer",
                                 "getrandom",
                                 "gettimeofday",
                                 "nanosleep",
                                 "pause",
                                 "poll",
                                 "ppoll",
                                 "pselect6",
                                 "rt_sigaction",
                                 "rt_sigpending",
                                 "rt_sigprocmask",
                                 "rt_sigqueueinfo",
                                 "rt_sigreturn",
                                 "rt_sigsuspend",
                                 "rt_sigtimedwait",
                                 "select",
                                 "setitimer",
                                 "sigaltstack",
                                 "time",
                                 "timer_create",
                                 "timer_delete",
                                 "timer_getoverrun",
                                 "timer_gettime",
                                 "timer_settime",
                                 "timerfd_create",
                                 "timerfd_gettime",
                                 "timerfd_settime"};

constexpr unsigned kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, Release>;

[[noreturn]] void Fail(std::string_view what) {
  throw Error(ErrorCode::kUnsupported,
              "generated programs are not run: no filter of system calls, " + std::string(what));
}

/// A name that this CPU or this libseccomp lacks is left out, which forbids it.
template <typename... Conditions>
void Allow(const Filter& filter, const char* name, Conditions... conditions) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return;
  const std::array<scmp_arg_cmp, sizeof...(conditions)> all{conditions...};
  const int error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, number,
                                           static_cast<unsigned>(all.size()), all.data());
  if (error != 0 && error != -EDOM) Fail(name);  // EDOM: a call of other CPUs
}

scmp_arg_cmp Equal(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

void AllowByArguments(const Filter& filter) {
  // The new process's flags are its first argument on x86-64 and Arm alike.
  Allow(filter, "clone", scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, kNewNamespaces, 0});
  for (const auto request : {TCGETS, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TIOCGWINSZ}) {
    Allow(filter, "ioctl", Equal(1, request));
  }
  for (const auto what : {PR_SET_NAME, PR_GET_NAME}) Allow(filter, "prctl", Equal(0, what));
  Allow(filter, "prlimit64", Equal(0, 0));  // its own limits only
}

/// The rules as the kernel takes them, through a file in memory.
std::vector<sock_filter> Export(const Filter& filter) {
  const Descriptor file(memfd_create("filter", MFD_CLOEXEC));
  if (!file) Fail("no file in memory");
  std::vector<sock_filter> rules;
  const bool exported = seccomp_export_bpf(filter.get(), file.get()) == 0;
  const off_t bytes = lseek(file.get(), 0, SEEK_END);
  bool whole = exported && bytes > 0;
  if (whole) {
    rules.resize(static_cast<size_t>(bytes) / sizeof(sock_filter));
    whole = pread(file.get(), rules.data(), static_cast<size_t>(bytes), 0) == bytes;
  }
  if (!whole) Fail("libseccomp gives no rules");
  return rules;
}

}  // namespace

std::vector<sock_filter> SyscallFilter() {
  const Filter filter(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  if (!filter) Fail("libseccomp does not start");
  for (const std::span<const char* const> names :
       {std::span<const char* const>(kFiles), std::span<const char* const>(kMemory),
        std::span<const char* const>(kProcesses), std::span<const char* const>(kWaiting)}) {
    for (const char* name : names) Allow(filter, name);
  }
  AllowByArguments(filter);
  return Export(filter);
}

#else

std::vector<sock_filter> SyscallFilter() {
  throw Error(ErrorCode::kUnsupported,
              "generated programs are not run: Crossover was built without libseccomp, which "
              "filters their system calls; install libseccomp-dev and build again");
}

#endif

bool InstallSyscallFilter(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &program) == 0;
}

}  // namespace crossover::evals
