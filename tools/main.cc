// crossover: subcommands in the manner of git; 0 done, 1 the work failed, 2 the call's words are
// off.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "base/error.h"
#include "base/interrupt.h"
#include "tools/command.h"

namespace crossover::tools {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

void AddCommands(CLI::App& app, const GlobalOptions& globals) {
  AddInfo(app, globals);
  AddTokenize(app, globals);
  AddGenerate(app, globals);
  AddLogits(app, globals);
  AddQuantize(app, globals);
  AddSynth(app, globals);
  AddPerplexity(app, globals);
  AddEval(app, globals);
  AddBench(app, globals);
  AddStudy(app, globals);
  AddReport(app, globals);
}

/// "crossover bench model": as far as the words were understood.
std::string CommandPath(const CLI::App& app) {
  std::string path = "crossover";
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    path += ' ' + command->get_name();
  }
  return path;
}

int ReportUsage(const CLI::App& app, const CLI::ParseError& error) {
  std::fprintf(stderr, "crossover: %s\nTry '%s --help'.\n", error.what(), CommandPath(app).c_str());
  return kUsage;
}

/// Messages quote names that files hold; a control character in one must not break the line.
int ReportFailure(std::string what) {
  std::replace_if(
      what.begin(), what.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  std::fprintf(stderr, "crossover: %s\n", what.c_str());
  return kFailed;
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
  AddCommands(app, globals);
  SetExamples(app,
              "  crossover study demo --out out/demo\n"
              "  crossover generate model.gguf -p \"Once upon a time\" -n 64\n"
              "  crossover quantize model-f16.gguf model-q4.gguf Q4_K_M");
  app.parse_complete_callback([&] { ApplyIsa(app, globals); });

  try {
    app.parse(argc, argv);
    return FlushOutput();
  } catch (const CLI::Success& help) {
    app.exit(help);
    return FlushOutput();
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, error);
  } catch (const std::bad_alloc&) {
    return ReportFailure("out of memory");
  } catch (const std::exception& error) {
    return ReportFailure(error.what());
  }
}

}  // namespace
}  // namespace crossover::tools

int main(int argc, char** argv) {
  crossover::InstallInterruptHandlers();
  return crossover::tools::Run(argc, argv);
}
