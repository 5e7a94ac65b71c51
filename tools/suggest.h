// What a mistaken word of the command line was probably meant to be.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace crossover::tools {

/// The command of that name under `app`; nullptr if there is none, or none for people.
const CLI::App* FindCommand(const CLI::App& app, const std::string& name);

/// "unknown subcommand 'x'; known are …", with the likeliest if one is near.
std::string UnknownCommand(const CLI::App& app, const std::string& word);

/// "unknown flag --x (did you mean --y?)" for what CLI11 could not place, in the order of `call`
/// (the words after the program's name); words that seem to be an unknown flag's value are left
/// out, and words that are no flags count only `with_words`. Empty if there is nothing to say.
std::string UnexpectedWords(const CLI::App& command, const std::vector<std::string>& rest,
                            const std::vector<std::string>& call, bool with_words);

}  // namespace crossover::tools
