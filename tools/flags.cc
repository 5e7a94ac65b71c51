#include "tools/flags.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <utility>

#include "tools/checks.h"

namespace crossover::tools {

const Flag& Flag::Required() const {
  option_->required();
  return *this;
}

const Flag& Flag::Type(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

const Flag& Flag::ShowDefault() const {
  option_->capture_default_str();
  return *this;
}

const Flag& Flag::Excludes(const Flag& other) const {
  option_->excludes(other.option_);
  return *this;
}

const Flag& Flag::Needs(const Flag& other) const {
  option_->needs(other.option_);
  return *this;
}

const Flag& Flag::SplitAt(char delimiter) const {
  option_->delimiter(delimiter);
  return *this;
}

const Flag& Flag::OneWord() const {
  option_->allow_extra_args(false);
  return *this;
}

const Flag& Flag::Check(WordCheck check) const {
  option_->check(
      CLI::Validator([check = std::move(check)](const std::string& word) { return check(word); },
                     /*validator_desc=*/""));
  return *this;
}

const Flag& Flag::NotEmpty() const {
  return Check([](const std::string& word) { return word.empty() ? "is empty" : ""; });
}

const Flag& Flag::Range(int64_t low, int64_t high) const {
  option_->check(CLI::Range(low, high));
  return *this;
}

const Flag& Flag::Whole(uint64_t low, uint64_t high) const { return Check(WholeFrom(low, high)); }

const Flag& Flag::Number(double low, double high) const { return Check(NumberFrom(low, high)); }

const Flag& Flag::Among(const std::vector<std::string>& values) const {
  option_->check(CLI::IsMember(values));
  return *this;
}

const Flag& Flag::AmongInAnyCase(const std::vector<std::string>& values) const {
  option_->transform(CLI::IsMember(values, CLI::ignore_case));
  return *this;
}

bool Flag::given() const { return option_->count() > 0; }

Subcommand::Subcommand(CLI::App& parent, const std::string& name, const std::string& what)
    : app_(parent.add_subcommand(name, what)) {}

template <typename T>
Flag Subcommand::Add(const std::string& names, T& value, const std::string& what) const {
  return Flag(app_->add_option(names, value, what));
}

template Flag Subcommand::Add(const std::string&, std::string&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, int64_t&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, uint64_t&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, uint32_t&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, float&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, double&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, std::optional<size_t>&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, std::optional<double>&, const std::string&) const;
template Flag Subcommand::Add(const std::string&, std::vector<std::string>&,
                              const std::string&) const;
template Flag Subcommand::Add(const std::string&, std::vector<size_t>&, const std::string&) const;

Flag Subcommand::Switch(const std::string& names, bool& value, const std::string& what) const {
  return Flag(app_->add_flag(names, value, what));
}

void Subcommand::RequireSubcommand() const { app_->require_subcommand(1); }

void Subcommand::Hide() const { app_->group(""); }

void Subcommand::Examples(const std::string& examples) const {
  app_->footer("\nExamples:\n" + examples);
}

void Subcommand::Run(std::function<void()> work) const { app_->callback(std::move(work)); }

std::vector<std::string> Subcommand::Given(std::initializer_list<const char*> names) const {
  std::vector<std::string> given;
  for (const char* name : names) {
    if (app_->get_option(name)->count() > 0) given.emplace_back(name);
  }
  return given;
}

}  // namespace crossover::tools
