#include "tools/line_reader.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"

#if CROSSOVER_HAS_LIBEDIT
#include <editline/readline.h>
#endif

namespace crossover::tools {
namespace {

std::optional<std::string> ReadEdited(const std::string& prompt) {
#if CROSSOVER_HAS_LIBEDIT
  const std::unique_ptr<char, decltype(&std::free)> line(readline(prompt.c_str()), &std::free);
  if (line == nullptr) return std::nullopt;
  if (*line != '\0') add_history(line.get());
  return std::string(line.get());
#else
  std::fputs(prompt.c_str(), stdout);
  std::fflush(stdout);
  std::string line;
  if (!std::getline(std::cin, line)) return std::nullopt;
  return line;
#endif
}

}  // namespace

bool IsInteractive() { return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0; }

std::optional<std::string> ReadLine(const std::string& prompt) {
  if (IsInteractive()) {
    // Nothing is under way that would have to be cleaned up.
    std::signal(SIGINT, SIG_DFL);
    std::optional<std::string> line = ReadEdited(prompt);
    InstallInterruptHandlers();
    return line;
  }
  std::string line;
  if (!std::getline(std::cin, line)) {
    // The stream takes what is thrown inside it for its end.
    if (std::cin.bad()) throw Error(ErrorCode::kIo, "cannot read the standard input");
    return std::nullopt;
  }
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace crossover::tools
