// A child process whose crash costs its parent nothing: what it wrote, and how it ended.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace crossover::bench {

struct ChildResult {
  std::string output;      // all of its stdout
  std::string error_tail;  // the last kilobytes of its stderr
  int exit_code = 0;       // if it ended by itself
  int signal = 0;          // what killed it; 0: nothing did

  bool ok() const { return signal == 0 && exit_code == 0; }
  /// "killed by signal 9 (Killed), perhaps out of memory"; or its last words.
  std::string Failure() const;
};

struct ChildOptions {
  std::function<void()> tick = nullptr;                      // called a few times a second
  std::filesystem::path directory = {};                      // to run in; empty: this process's
  std::optional<std::vector<std::string>> environment = {};  // "NAME=VALUE"; else this process's
};

/// Runs `executable` with `arguments` in a process group of its own and waits; what it leaves of
/// that group is killed. After Ctrl-C the group gets SIGTERM and Error(kInterrupted) is thrown once
/// the child is gone. Error(kIo) if it cannot be started.
ChildResult RunChild(const std::filesystem::path& executable,
                     const std::vector<std::string>& arguments, const ChildOptions& options = {});

/// In the child: to be killed when the parent dies, however it dies, also if it is dead already;
/// and where memory runs out, to be killed before it.
void DieWithParent(int parent_pid);

}  // namespace crossover::bench
