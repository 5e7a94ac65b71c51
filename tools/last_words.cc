// Most of this runs in signal handlers, or where there is no memory: buffers of a fixed size, and
// none but the calls that POSIX allows there.
#include "tools/last_words.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <typeinfo>

#include "base/unfinished_files.h"

namespace crossover::tools {
namespace {

/// A line, clipped where it is too long, written with one call so that it stays in one piece.
class Line {
 public:
  Line& operator<<(std::string_view text) {
    for (const char c : text) {
      // Of a name: a control character would break the line.
      if (size_ + 1 < bytes_.size()) bytes_[size_++] = c >= 0x20 && c < 0x7F ? c : '?';
    }
    return *this;
  }
  void Write() {
    bytes_[size_++] = '\n';
    for (size_t done = 0; done < size_;) {
      const ssize_t n = write(STDERR_FILENO, bytes_.data() + done, size_ - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

 private:
  std::array<char, 1024> bytes_;
  size_t size_ = 0;
};

/// /proc/self/maps, a byte at a time: "begin-end rights offset device inode   path\n".
class Maps {
 public:
  Maps() : fd_(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~Maps() {
    if (fd_ >= 0) close(fd_);
  }
  Maps(const Maps&) = delete;
  Maps& operator=(const Maps&) = delete;

  /// The path of what is mapped at `address`; empty if that is no file. Valid as long as this.
  std::string_view PathOf(uintptr_t address) {
    while (fd_ >= 0 && ReadLine()) {
      const std::string_view line(line_.data(), size_);
      size_t at = 0;
      const uintptr_t begin = Hexadecimal(line, at);
      ++at;  // '-'
      const uintptr_t end = Hexadecimal(line, at);
      if (address < begin || address >= end) continue;
      const size_t path = line.find('/');
      return path == std::string_view::npos ? std::string_view() : line.substr(path);
    }
    return {};
  }

 private:
  static uintptr_t Hexadecimal(std::string_view text, size_t& at) {
    uintptr_t value = 0;
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<uintptr_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value * 16 + static_cast<uintptr_t>(c - 'a' + 10);
      } else {
        break;
      }
    }
    return value;
  }

  bool ReadLine() {
    size_ = 0;
    for (char c = 0; Next(c);) {
      if (c == '\n') return true;
      if (size_ < line_.size()) line_[size_++] = c;
    }
    return false;
  }

  bool Next(char& c) {
    if (taken_ == filled_) {
      const ssize_t n = read(fd_, buffer_.data(), buffer_.size());
      if (n <= 0) return false;
      filled_ = static_cast<size_t>(n);
      taken_ = 0;
    }
    c = buffer_[taken_++];
    return true;
  }

  int fd_;
  std::array<char, 1024> buffer_;
  size_t taken_ = 0, filled_ = 0;
  std::array<char, 512> line_;
  size_t size_ = 0;
};

// The thread that says the last words; a handler can reach nothing but a global.
std::atomic<pid_t> speaker = 0;
static_assert(std::atomic<pid_t>::is_always_lock_free);

/// Threads that meet the same end, as all do that read a file which shrinks, leave the words to the
/// first, whose end is theirs too. One that fails again while it speaks goes on.
void SpeakAlone() {
  pid_t nobody = 0;
  if (speaker.compare_exchange_strong(nobody, gettid()) || nobody == gettid()) return;
  for (;;) pause();
}

[[noreturn]] void End() {
  RemoveUnfinishedFiles();
  _exit(kFailed);
}

/// The signal's own end: what the kernel does when nobody handles it, with a core file where these
/// are wanted. Returning does the faulting instruction again.
void EndAsUnhandled(int signal) {
  RemoveUnfinishedFiles();
  std::signal(signal, SIG_DFL);
  if (signal == SIGABRT) raise(signal);
}

void OnBusError(int signal, siginfo_t* info, void*) {
  SpeakAlone();
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  if (info->si_code == BUS_ADRERR) {
    Maps maps;
    const std::string_view path = maps.PathOf(address);
    if (!path.empty()) {
      (Line()
       << "crossover: " << path
       << ": shrank, or cannot be read, while it was in use (bus error); leave the file as it "
          "is while a run needs it, or use --load ram")
          .Write();
      End();
    }
  }
  (Line() << "crossover: crashed with a bus error: the memory may be faulty, or this is a mistake "
             "in Crossover; please report it with the command")
      .Write();
  EndAsUnhandled(signal);
}

// An address in main's frame. A signal handler can reach nothing but a global.
uintptr_t stack_top = 0;

/// Whether the stack could not grow to `address`. The kernel keeps twice this free below it.
bool IsBelowStack(uintptr_t address) {
  constexpr uintptr_t kFarthest = uintptr_t{64} << 20;
  return address < stack_top && stack_top - address < kFarthest;
}

void OnCrash(int signal, siginfo_t* info, void*) {
  SpeakAlone();
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  rlimit memory{};
  if (signal == SIGSEGV && IsBelowStack(address) && getrlimit(RLIMIT_AS, &memory) == 0) {
    if (memory.rlim_cur != RLIM_INFINITY) {
      ReportOutOfMemory();
      End();
    }
    (Line() << "crossover: the stack is full; raise its limit (ulimit -s), and please report the "
               "command and its input")
        .Write();
  } else if (signal == SIGILL) {
    (Line() << "crossover: this CPU lacks an instruction of the program; choose another level "
               "(--isa; crossover info --machine lists them), and please report it")
        .Write();
  } else {
    (Line() << "crossover: crashed; this is a mistake in Crossover: please report it with the "
               "command and its input")
        .Write();
  }
  EndAsUnhandled(signal);
}

void Install(int signal, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction before {};
  if (sigaction(signal, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) return;
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

/// Where handlers run when the stack itself is what failed.
void InstallStack() {
  constexpr size_t kBytes = 64 << 10;
  alignas(64) static std::array<std::byte, kBytes> stack;
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  stack_t before{};
  if (sigaltstack(nullptr, &before) == 0 && (before.ss_flags & SS_DISABLE) != 0) {
    sigaltstack(&alternate, nullptr);
  }
}

// Whether memory was refused once; a handler can reach nothing but a global.
std::atomic<bool> memory_ran_out = false;

void OnNoMemory() {
  memory_ran_out = true;
  throw std::bad_alloc();
}

[[noreturn]] void OnTerminate() {
  SpeakAlone();
  const std::type_info* const type = abi::__cxa_current_exception_type();
  // None, where not even the runtime's reserve had room for an exception.
  const bool no_memory = type == nullptr ? memory_ran_out.load()
                                         : *type == typeid(std::bad_alloc) ||
                                               *type == typeid(std::bad_array_new_length);
  if (no_memory) {
    ReportOutOfMemory();
    End();
  }
  (Line() << "crossover: ended by an exception that nothing caught ("
          << (type != nullptr ? type->name() : "none") << "); please report it with the command")
      .Write();
  RemoveUnfinishedFiles();
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

}  // namespace

int ReportOutOfMemory() {
  (Line() << "crossover: out of memory; close other programs, ask for a shorter context or smaller "
             "batches, or raise the limit (ulimit -v)")
      .Write();
  return kFailed;
}

void InstallLastWords() {
  stack_top = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  std::set_terminate(OnTerminate);
  std::set_new_handler(OnNoMemory);
  std::atexit(RemoveUnfinishedFiles);  // libgomp ends the process where it cannot start a thread
  InstallStack();
  Install(SIGBUS, OnBusError);
  for (const int signal : {SIGSEGV, SIGILL, SIGFPE, SIGABRT}) Install(signal, OnCrash);
}

}  // namespace crossover::tools
