// Faults for the executable under test (LD_PRELOAD): lets the n-th call of a kind fail, counted
// from main on, as an operating system that runs out of something would. Never part of the program.
//
//   CROSSOVER_FAULT=KIND:N[+]   the N-th call of KIND fails, with + every one from there on
//   CROSSOVER_FAULT_COUNT=FILE  at exit, "KIND COUNT" a line: how many calls there were
//   CROSSOVER_FAULT_IN=TEXT     both only in a process whose first word is TEXT, or whose second
//                               has TEXT in it; others do without faults
//
// Kinds: alloc (malloc and its kin, and anonymous mmap), map (mmap of a file), thread, spawn (of a
// process), open (files and pipes), read, short-read (a byte at most), eintr (read and write once
// more, please), write (no space left), short-write, fsync (fdatasync too), truncate, rename,
// mkdir, lock, shrink (the file that was mapped first is cut to a page, at the N-th allocation from
// there on). Of those that end the process there and then, before the call is made: kill, of every
// call that changes what the disk holds, and torn, of a write, half of which is done.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum Kind {
  kAlloc,
  kMap,
  kThread,
  kSpawn,
  kOpen,
  kRead,
  kShortRead,
  kInterrupt,
  kWrite,
  kShortWrite,
  kSync,
  kTruncate,
  kRename,
  kMakeFolder,
  kLock,
  kShrink,
  kKill,
  kTorn,
  kKinds
};
constexpr const char* kNames[kKinds] = {
    "alloc",       "map",   "thread",   "spawn",  "open",  "read", "short-read", "eintr", "write",
    "short-write", "fsync", "truncate", "rename", "mkdir", "lock", "shrink",     "kill",  "torn"};

std::atomic<bool> counting;
std::atomic<uint64_t> counts[kKinds];
int fault_kind = -1;
uint64_t fault_at = 0;
bool fault_stays = false;

/// Counts a call; whether it is to fail.
bool Fails(Kind kind) {
  if (!counting.load(std::memory_order_relaxed)) return false;
  const uint64_t n = counts[kind].fetch_add(1, std::memory_order_relaxed) + 1;
  return kind == fault_kind && (n == fault_at || (fault_stays && n > fault_at));
}

/// The same, with the reason in errno.
bool Fails(Kind kind, int reason) {
  if (!Fails(kind)) return false;
  errno = reason;
  return true;
}

// The path of the file that was mapped first.
char mapped[4096];

void RememberMapped(int fd) {
  if (mapped[0] != '\0' || !counting) return;
  char link[32];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, mapped, sizeof(mapped) - 1);
  mapped[n > 0 ? n : 0] = '\0';
}

bool AllocationFails() {
  if (mapped[0] != '\0' && Fails(kShrink)) syscall(SYS_truncate, mapped, 4096);
  return Fails(kAlloc, ENOMEM);
}

/// Of a call that reads; where it is to be a short one, `size` shrinks.
bool ReadFails(size_t& size) {
  if (Fails(kRead, EIO) || Fails(kInterrupt, EINTR)) return true;
  if (Fails(kShortRead) && size > 1) size = 1;
  return false;
}

void Die() { syscall(SYS_kill, getpid(), SIGKILL); }

/// Before a call that changes what the disk holds.
void MayDie() {
  if (Fails(kKill)) Die();
}

/// open's last argument, which is there for some flags only.
mode_t ModeOf(int flags, va_list more) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
}

int OpenAt(int folder, const char* path, int flags, mode_t mode) {
  if ((flags & (O_CREAT | O_TRUNC)) != 0) MayDie();
  if (Fails(kOpen, EMFILE)) return -1;
  return static_cast<int>(syscall(SYS_openat, folder, path, flags, mode));
}

// dlsym may allocate before malloc is known.
alignas(16) char early[4096];
size_t early_used = 0;

void* Early(size_t size) {
  size = (size + 15) / 16 * 16;
  if (early_used + size > sizeof(early)) abort();
  void* const p = early + early_used;
  early_used += size;
  return p;
}

bool IsEarly(const void* p) {
  const auto at = reinterpret_cast<uintptr_t>(p), begin = reinterpret_cast<uintptr_t>(early);
  return at >= begin && at < begin + sizeof(early);
}

thread_local bool resolving __attribute__((tls_model("initial-exec"))) = false;

/// The function that would have been called without this library.
template <class Function>
Function Next(const char* name) {
  resolving = true;
  auto* const next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  resolving = false;
  if (next == nullptr) abort();
  return next;
}

void ReadFault() {
  const char* fault = getenv("CROSSOVER_FAULT");
  if (fault == nullptr) return;
  const char* colon = strchr(fault, ':');
  if (colon == nullptr) abort();
  for (int kind = 0; kind < kKinds; ++kind) {
    const size_t length = strlen(kNames[kind]);
    if (length == static_cast<size_t>(colon - fault) && strncmp(fault, kNames[kind], length) == 0) {
      fault_kind = kind;
    }
  }
  char* end = nullptr;
  fault_at = strtoull(colon + 1, &end, 10);
  fault_stays = *end == '+';
  if (fault_kind < 0 || fault_at == 0) abort();
}

void WriteCounts() {
  const char* path = getenv("CROSSOVER_FAULT_COUNT");
  if (path == nullptr) return;
  const int fd =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  for (int kind = 0; kind < kKinds; ++kind) {
    char line[64];
    const int n = snprintf(line, sizeof(line), "%s %llu\n", kNames[kind],
                           static_cast<unsigned long long>(counts[kind].load()));
    if (syscall(SYS_write, fd, line, n) != n) abort();
  }
  syscall(SYS_close, fd);
}

int (*real_main)(int, char**, char**);

bool IsMeant(int argc, char** argv) {
  const char* text = getenv("CROSSOVER_FAULT_IN");
  if (text == nullptr) return true;
  return (argc > 1 && strcmp(argv[1], text) == 0) || (argc > 2 && strstr(argv[2], text) != nullptr);
}

int CountedMain(int argc, char** argv, char** environment) {
  if (IsMeant(argc, argv)) {
    ReadFault();
    counting = true;
  }
  return real_main(argc, argv, environment);
}

__attribute__((destructor)) void AtExit() {
  if (!counting.exchange(false)) return;
  WriteCounts();
}

}  // namespace

extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(),
                      void (*fini)(), void (*loader_fini)(), void* stack_end) {
  real_main = main;
  return Next<decltype(&__libc_start_main)>("__libc_start_main")(CountedMain, argc, argv, init,
                                                                 fini, loader_fini, stack_end);
}

void* malloc(size_t size) {
  if (resolving) return Early(size);
  static auto* const next = Next<void* (*)(size_t)>("malloc");
  if (AllocationFails()) return nullptr;
  return next(size);
}

void free(void* p) {
  if (IsEarly(p)) return;
  static auto* const next = Next<void (*)(void*)>("free");
  next(p);
}

void* calloc(size_t count, size_t size) {
  if (resolving) return Early(count * size);  // zero as every global
  static auto* const next = Next<void* (*)(size_t, size_t)>("calloc");
  if (AllocationFails()) return nullptr;
  return next(count, size);
}

void* realloc(void* p, size_t size) {
  static auto* const next = Next<void* (*)(void*, size_t)>("realloc");
  if (AllocationFails()) return nullptr;
  return next(p, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  static auto* const next = Next<void* (*)(size_t, size_t)>("aligned_alloc");
  if (AllocationFails()) return nullptr;
  return next(alignment, size);
}

int posix_memalign(void** p, size_t alignment, size_t size) {
  static auto* const next = Next<int (*)(void**, size_t, size_t)>("posix_memalign");
  return AllocationFails() ? ENOMEM : next(p, alignment, size);
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fd < 0 ? AllocationFails() : Fails(kMap, ENOMEM)) return MAP_FAILED;
  if (fd >= 0) RememberMapped(fd);
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t offset) {
  return mmap(address, length, protection, flags, fd, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  static auto* const next =
      Next<int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  return Fails(kThread) ? EAGAIN : next(thread, attributes, start, argument);
}

int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]) {
  static auto* const next = Next<decltype(&posix_spawn)>("posix_spawn");
  MayDie();
  return Fails(kSpawn) ? EAGAIN : next(pid, path, actions, attributes, argv, envp);
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = ModeOf(flags, more);
  va_end(more);
  return OpenAt(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = ModeOf(flags, more);
  va_end(more);
  return OpenAt(AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = ModeOf(flags, more);
  va_end(more);
  return OpenAt(folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = ModeOf(flags, more);
  va_end(more);
  return OpenAt(folder, path, flags, mode);
}

int pipe2(int ends[2], int flags) {
  if (Fails(kOpen, EMFILE)) return -1;
  return static_cast<int>(syscall(SYS_pipe2, ends, flags));
}

ssize_t read(int fd, void* to, size_t size) {
  if (ReadFails(size)) return -1;
  return syscall(SYS_read, fd, to, size);
}

ssize_t pread(int fd, void* to, size_t size, off_t offset) {
  if (ReadFails(size)) return -1;
  return syscall(SYS_pread64, fd, to, size, offset);
}
ssize_t pread64(int fd, void* to, size_t size, off64_t offset) {
  return pread(fd, to, size, offset);
}

ssize_t write(int fd, const void* from, size_t size) {
  const bool to_file = fd > STDERR_FILENO;
  if (to_file) MayDie();
  if (to_file && Fails(kTorn)) {
    syscall(SYS_write, fd, from, size / 2);
    Die();
  }
  if (to_file && Fails(kWrite, ENOSPC)) return -1;
  if (Fails(kInterrupt, EINTR)) return -1;
  if (Fails(kShortWrite) && size > 1) size = 1;
  return syscall(SYS_write, fd, from, size);
}

int fsync(int fd) {
  if (Fails(kSync, EIO)) return -1;
  return static_cast<int>(syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  if (Fails(kSync, EIO)) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

int ftruncate(int fd, off_t size) noexcept {
  MayDie();
  if (Fails(kTruncate, EIO)) return -1;
  return static_cast<int>(syscall(SYS_ftruncate, fd, size));
}
int ftruncate64(int fd, off64_t size) noexcept { return ftruncate(fd, size); }

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  MayDie();
  if (Fails(kRename, EIO)) return -1;
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}
int rename(const char* from, const char* to) noexcept {
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  MayDie();
  return static_cast<int>(syscall(SYS_unlinkat, folder, path, flags));
}
int unlink(const char* path) noexcept { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char* path) noexcept { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdir(const char* path, mode_t mode) noexcept {
  MayDie();
  if (Fails(kMakeFolder, ENOSPC)) return -1;
  return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int flock(int fd, int how) noexcept {
  if (Fails(kLock, ENOLCK)) return -1;
  return static_cast<int>(syscall(SYS_flock, fd, how));
}

int fcntl(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  void* const argument = va_arg(more, void*);
  va_end(more);
  if ((command == F_OFD_SETLK || command == F_OFD_SETLKW) && Fails(kLock, ENOLCK)) return -1;
  return static_cast<int>(syscall(SYS_fcntl, fd, command, argument));
}
int fcntl64(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  void* const argument = va_arg(more, void*);
  va_end(more);
  return fcntl(fd, command, argument);
}

}  // extern "C"
