// A subcommand and its flags. What parses the command line, CLI11, is a large header, and only the
// few files behind this face read it.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace crossover::tools {

/// The command line is wrong: status 2, and the message above a pointer to the help.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What is wrong with a word; empty for nothing.
using WordCheck = std::function<std::string(const std::string&)>;

/// A flag or a word by position. A handle: the command line owns what it stands for.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}

  const Flag& Required() const;
  /// How help calls the value: "N", "FILE".
  const Flag& Type(const std::string& name) const;
  /// The variable's value now, in the help.
  const Flag& ShowDefault() const;
  const Flag& Excludes(const Flag& other) const;
  const Flag& Needs(const Flag& other) const;

  /// Several values in one word.
  const Flag& SplitAt(char delimiter) const;
  /// One value each time the flag is given; else it takes all words up to the next flag.
  const Flag& OneWord() const;

  const Flag& Check(WordCheck check) const;
  const Flag& NotEmpty() const;
  const Flag& Range(int64_t low, int64_t high) const;
  const Flag& Whole(uint64_t low, uint64_t high) const;
  const Flag& Number(double low, double high) const;
  const Flag& Among(const std::vector<std::string>& values) const;
  /// In any case; the variable gets the spelling of `values`.
  const Flag& AmongInAnyCase(const std::vector<std::string>& values) const;

  /// Whether the call has it, once that is parsed.
  bool given() const;

 private:
  CLI::Option* option_;
};

class Subcommand {
 public:
  /// Of an app, or of another subcommand's app.
  Subcommand(CLI::App& parent, const std::string& name, const std::string& what);
  /// What is there already.
  explicit Subcommand(CLI::App& app) : app_(&app) {}

  /// `value` must live until the call was parsed. Defined for the types that flags.cc lists.
  template <typename T>
  Flag Add(const std::string& names, T& value, const std::string& what) const;
  Flag Switch(const std::string& names, bool& value, const std::string& what) const;

  /// One of its own subcommands must be named.
  void RequireSubcommand() const;
  /// No help names it.
  void Hide() const;
  /// Puts "Examples:" behind its help.
  void Examples(const std::string& examples) const;
  /// Called once the whole call was parsed.
  void Run(std::function<void()> work) const;

  /// Those of `names` ("-p", "--depth") that the call gives, once it is parsed.
  std::vector<std::string> Given(std::initializer_list<const char*> names) const;

  CLI::App& app() const { return *app_; }

 private:
  CLI::App* app_;
};

}  // namespace crossover::tools
