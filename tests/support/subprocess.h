// Runs a program from a test: arguments and stdin in; exit status, stdout and stderr out.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace crossover::test {

struct ProcessOptions {
  std::string input = {};                                             // stdin, to its end
  std::chrono::milliseconds timeout{120'000};                         // then it is killed
  std::filesystem::path directory = {};                               // empty: this process's
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to this process's
};

struct ProcessResult {
  int exit_code = -1;      // -1 if a signal ended it
  int signal = 0;          // that signal
  bool timed_out = false;  // and was killed for it
  std::string out;
  std::string err;
  bool ok() const { return exit_code == 0; }
};

/// A running program; killed if it still runs when the object goes.
class Process {
 public:
  /// arguments[0] is the program's path or a name to be found in PATH. Throws std::runtime_error
  /// if it cannot be started.
  explicit Process(const std::vector<std::string>& arguments, ProcessOptions options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int number) const;
  pid_t pid() const { return pid_; }
  bool Running();
  /// Until it ends or its time is up.
  ProcessResult Wait();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using Stream = std::unique_ptr<std::FILE, Close>;

  // Plain files, not pipes: nobody has to drain them while the program runs.
  Stream in_, out_, err_;
  ProcessOptions options_;
  std::chrono::steady_clock::time_point start_;
  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = 0;  // of waitpid
};

/// Starts, waits, returns.
ProcessResult RunProcess(const std::vector<std::string>& arguments, ProcessOptions options = {});

/// The `crossover` executable under test, which meson names in CROSSOVER_BINARY. Throws
/// std::runtime_error where that is not set.
std::filesystem::path CrossoverBinary();

/// RunProcess with the executable in front.
ProcessResult RunCrossover(std::vector<std::string> arguments, ProcessOptions options = {});

}  // namespace crossover::test
