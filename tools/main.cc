// crossover: subcommands as git has them. Exit status: 0 done, 1 the work failed, 2 the command
// line is wrong.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/visible_text.h"
#include "tools/command.h"
#include "tools/help.h"
#include "tools/last_words.h"
#include "tools/suggest.h"
#include "tools/version.h"

namespace crossover::tools {
namespace {

constexpr int kUsage = 2;

void AddCommands(CLI::App& app, const GlobalOptions& globals) {
  AddInfo(app, globals);
  AddTokenize(app, globals);
  AddGenerate(app, globals);
  AddChat(app, globals);
  AddLogits(app, globals);
  AddImatrix(app, globals);
  AddQuantize(app, globals);
  AddAllocate(app, globals);
  AddSynth(app, globals);
  AddPerplexity(app, globals);
  AddEval(app, globals);
  AddBench(app, globals);
  AddStudy(app, globals);
  AddReport(app, globals);
  AddServe(app, globals);
  AddPredict(app, globals);
}

bool Contains(const std::vector<std::string>& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

/// The innermost command that was understood, and the words to it: "crossover bench model".
std::pair<const CLI::App*, std::string> LastCommand(const CLI::App& app) {
  const CLI::App* command = &app;
  std::string path = "crossover";
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += ' ' + command->get_name();
  }
  return {command, path};
}

/// CLI11 only says that a subcommand is required where the one given is none that it knows, lists
/// what it could not place from the last to the first, and complains of a missing word where a
/// mistyped flag stands in its place.
std::string UsageMessage(const CLI::App& app, const CLI::App& command,
                         const std::vector<std::string>& call, const std::exception& error) {
  const std::vector<std::string> rest = app.remaining(true);
  if (command.get_require_subcommand_min() > 0) {
    const auto word = std::ranges::find_if(call, [&](const auto& w) { return Contains(rest, w); });
    if (word != call.end() && !word->starts_with('-')) return UnknownCommand(command, *word);
  }
  const bool has_extras = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const std::string unexpected = UnexpectedWords(command, rest, call, /*with_words=*/has_extras);
  return unexpected.empty() ? error.what() : unexpected;
}

int ReportUsage(const CLI::App& app, const std::vector<std::string>& call,
                const std::exception& error) {
  const auto [command, path] = LastCommand(app);
  std::fprintf(stderr, "crossover: %s\nTry '%s --help'.\n",
               VisibleLines(UsageMessage(app, *command, call, error)).c_str(), path.c_str());
  return kUsage;
}

/// Messages quote names that files hold; a control character in one must not break the line.
int ReportFailure(const std::string& what) {
  std::fprintf(stderr, "crossover: %s\n", VisibleText(what).c_str());
  return kFailed;
}

std::string SystemFailure(const std::system_error& error) {
  // The C++ library names no reason of its own where a thread cannot be started.
  if (error.code() != std::errc::resource_unavailable_try_again) return error.what();
  return fmt::format(
      "cannot start a thread ({}); lower --threads, or raise the limits of memory and processes "
      "(ulimit -v, ulimit -u)",
      error.what());
}

/// A full disk or a closed pipe shows only when the buffer is written.
int FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return ReportFailure("cannot write to the standard output");
}

int Run(int argc, char** argv) {
  CLI::App app("Runs language models on CPUs and measures what quantisation costs and saves.",
               "crossover");
  GlobalOptions globals;
  app.set_version_flag("--version", "crossover " CROSSOVER_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  AddGlobalOptions(app, globals);
  AddHelp(app);
  AddCommands(app, globals);
  Subcommand(app).Examples(
      "  crossover study demo --out out/demo\n"
      "  crossover generate model.gguf -p \"Once upon a time\" -n 64\n"
      "  crossover quantize model-f16.gguf model-q4.gguf Q4_K_M");
  app.parse_complete_callback([&] {
    ApplyIsa(app, globals);
    if (LastCommand(app).first->get_name() != "help") WarnOfThreads(globals.threads);
  });

  try {
    app.parse(argc, argv);
    return FlushOutput();
  } catch (const CLI::Success& help) {
    app.exit(help);
    return FlushOutput();
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, {argv + 1, argv + argc}, error);
  } catch (const UsageError& error) {
    return ReportUsage(app, {argv + 1, argv + argc}, error);
  } catch (const std::bad_alloc&) {
    return ReportOutOfMemory();
  } catch (const std::length_error&) {  // of a container: more than an address can count
    return ReportOutOfMemory();
  } catch (const std::system_error& error) {
    return ReportFailure(SystemFailure(error));
  } catch (const std::exception& error) {
    return ReportFailure(error.what());
  }
}

}  // namespace
}  // namespace crossover::tools

int main(int argc, char** argv) {
  if (!crossover::OpenStandardStreams()) return 1;  // with nowhere to say it
  crossover::tools::InstallLastWords();
  crossover::InstallInterruptHandlers();
  try {
    return crossover::tools::Run(argc, argv);
  } catch (const std::bad_alloc&) {  // while the commands were set up, or to word a failure
    return crossover::tools::ReportOutOfMemory();
  }
}
