#include "tools/help.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/suggest.h"

namespace crossover::tools {
namespace {

const CLI::App& Root(const CLI::App& command) {
  const CLI::App* app = &command;
  while (app->get_parent() != nullptr) app = app->get_parent();
  return *app;
}

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_footer(const CLI::App* command) const override {
    const std::string footer = CLI::Formatter::make_footer(command);
    if (command->get_parent() == nullptr) return footer;
    const CLI::App& root = Root(*command);
    const auto flags = root.get_options([&](const CLI::Option* option) {
      return option->nonpositional() && option != root.get_help_ptr() &&
             option != root.get_version_ptr();
    });
    return make_group("Flags of all commands", false, flags) + footer;
  }
};

void ShowHelp(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  std::string path;
  for (const std::string& word : words) {
    const CLI::App* next = FindCommand(*command, word);
    if (next == nullptr) throw CLI::ValidationError(UnknownCommand(*command, word));
    path += (path.empty() ? "" : " ") + command->get_name();
    command = next;
  }
  // Not App::help: that would show the help of `help`, which was parsed.
  const std::string name = path.empty() ? app.get_name() : path + " " + command->get_name();
  fmt::print("{}", command->get_formatter()->make_help(command, name, CLI::AppFormatMode::Normal));
}

}  // namespace

void AddHelp(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormatter>());
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* help = app.add_subcommand("help", "Show how a command is called");
  help->add_option("command", *words, "The command, such as generate or bench model")
      ->type_name("COMMAND...");
  help->footer("\nExamples:\n  crossover help generate\n  crossover help bench model");
  help->callback([&app, words] { ShowHelp(app, *words); });
}

}  // namespace crossover::tools
