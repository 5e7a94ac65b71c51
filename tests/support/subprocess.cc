#include "tests/support/subprocess.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace crossover::test {
namespace {

[[noreturn]] void Fail(const std::string& what, int error) {
  throw std::runtime_error(what + ": " + std::strerror(error));
}

std::FILE* OpenTemporary() {
  std::FILE* file = std::tmpfile();
  if (file == nullptr) Fail("cannot create a temporary file", errno);
  return file;
}

std::string ReadAll(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof(buffer), file)) text.append(buffer, n);
  return text;
}

/// This process's environment with `changes` in place of variables of the same name.
std::vector<std::string> Environment(
    const std::vector<std::pair<std::string, std::string>>& changes) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const std::string name = variable.substr(0, variable.find('='));
    bool replaced = false;
    for (const auto& [key, value] : changes) replaced |= key == name;
    if (!replaced) variables.push_back(variable);
  }
  for (const auto& [key, value] : changes) variables.push_back(key + "=" + value);
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, ProcessOptions options)
    : in_(OpenTemporary()),
      out_(OpenTemporary()),
      err_(OpenTemporary()),
      options_(std::move(options)),
      start_(std::chrono::steady_clock::now()) {
  std::fwrite(options_.input.data(), 1, options_.input.size(), in_.get());
  std::fflush(in_.get());
  std::rewind(in_.get());

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(in_.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(out_.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(err_.get()), STDERR_FILENO);
  if (!options_.directory.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, options_.directory.c_str());
  }
  std::vector<std::string> words = arguments;
  std::vector<std::string> variables = Environment(options_.environment);
  const std::vector<char*> argv = Pointers(words);
  const std::vector<char*> envp = Pointers(variables);
  const int error =
      posix_spawnp(&pid_, argv[0], &actions, /*attrp=*/nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    ended_ = true;
    Fail("cannot start " + arguments[0], error);
  }
}

Process::~Process() {
  if (!Running()) return;
  Signal(SIGKILL);
  waitpid(pid_, &status_, 0);
}

void Process::Signal(int number) const {
  if (!ended_) kill(pid_, number);
}

bool Process::Running() {
  if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return !ended_;
}

ProcessResult Process::Wait() {
  ProcessResult result;
  while (Running()) {
    if (std::chrono::steady_clock::now() - start_ > options_.timeout) {
      result.timed_out = true;
      Signal(SIGKILL);
      waitpid(pid_, &status_, 0);
      ended_ = true;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (WIFEXITED(status_)) result.exit_code = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
  result.out = ReadAll(out_.get());
  result.err = ReadAll(err_.get());
  return result;
}

ProcessResult RunProcess(const std::vector<std::string>& arguments, ProcessOptions options) {
  return Process(arguments, std::move(options)).Wait();
}

std::filesystem::path CrossoverBinary() {
  const char* path = std::getenv("CROSSOVER_BINARY");
  if (path == nullptr) {
    throw std::runtime_error(
        "CROSSOVER_BINARY is not set: run the tests through meson test, or set it to the path of "
        "the crossover executable");
  }
  return path;
}

ProcessResult RunCrossover(std::vector<std::string> arguments, ProcessOptions options) {
  arguments.insert(arguments.begin(), CrossoverBinary().string());
  return RunProcess(arguments, std::move(options));
}

}  // namespace crossover::test
