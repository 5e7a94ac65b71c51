#include "tools/suggest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <utility>

namespace crossover::tools {
namespace {

/// What other programs of the field call things, or have that this one does not.
constexpr auto kElsewhere = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"--temperature", "did you mean --temp?"},
    {"--predict", "did you mean -n?"},
    {"--max-tokens", "did you mean -n?"},
    {"--max-new-tokens", "did you mean -n?"},
    {"--n_predict", "did you mean -n?"},
    {"--num-threads", "did you mean --threads?"},
    {"--n-threads", "did you mean --threads?"},
    {"--nthreads", "did you mean --threads?"},
    {"--cache-type-k", "did you mean --kv-type?"},
    {"--cache-type-v", "did you mean --kv-type?"},
    {"-ctk", "did you mean --kv-type?"},
    {"-ctv", "did you mean --kv-type?"},
    {"--no-mmap", "did you mean --load ram?"},
    {"--n-prompt", "did you mean -p?"},
    {"--n-gen", "did you mean -n?"},
    {"--num_fewshot", "did you mean --fewshot?"},
    {"--system-prompt", "did you mean --system?"},
    {"-sys", "did you mean --system?"},
    {"--reverse-prompt", "did you mean --stop?"},
    {"--kl-divergence-base", "did you mean --kl-save or --kl-base?"},
    {"--kl-divergence", "did you mean --kl-base?"},
    {"--output", "did you mean --out?"},
    {"-o", "did you mean --out?"},
    {"-v", "did you mean --version?"},
    {"-ngl", "models run on the CPU alone"},
    {"--n-gpu-layers", "models run on the CPU alone"},
    {"--gpu-layers", "models run on the CPU alone"},
});

bool IsFlag(std::string_view word) { return word.size() > 1 && word.starts_with('-'); }

/// Insertions, deletions, replacements and exchanges of neighbours that make `a` of `b`.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (exchanged) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

/// The nearest of `known`, or one that `word` begins; empty if none is near.
std::string Nearest(std::string_view word, const std::vector<std::string>& known) {
  constexpr size_t kLettersAnError = 3;
  std::string best;
  size_t least = std::max<size_t>(1, word.size() / kLettersAnError) + 1;
  for (const std::string& name : known) {
    const bool begun = word.size() >= 3 && name.starts_with(word);
    const size_t distance = begun ? 1 : Distance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

std::vector<std::string> LongFlags(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back(name);
    }
  }
  return names;
}

std::string Advice(const CLI::App& command, const std::string& flag) {
  for (const auto& [name, advice] : kElsewhere) {
    if (name == flag) return std::string(advice);
  }
  const std::string name = flag.substr(flag.find_first_not_of('-'));
  const std::vector<std::string> known = LongFlags(command);
  // -temp for --temp
  if (std::ranges::find(known, name) != known.end()) return fmt::format("did you mean --{}?", name);
  if (!flag.starts_with("--")) return "";
  const std::string near = Nearest(name, known);
  return near.empty() ? "" : fmt::format("did you mean --{}?", near);
}

/// Letters behind one dash that another program has as one flag, and CLI11 takes for the short flag
/// of the first and its value: "-ngl" for -n and "gl".
bool IsOneFlagElsewhere(const std::string& word) {
  const auto is_word = [&](const auto& entry) { return entry.first == word; };
  return !word.starts_with("--") && word.size() > 2 && std::ranges::any_of(kElsewhere, is_word);
}

std::vector<const CLI::App*> Commands(const CLI::App& app) {
  auto all = app.get_subcommands([](const CLI::App*) { return true; });
  // Those of no group are called by this program itself.
  std::erase_if(all, [](const CLI::App* command) { return command->get_group().empty(); });
  return all;
}

}  // namespace

const CLI::App* FindCommand(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : Commands(app)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* command : Commands(app)) known.push_back(command->get_name());
  if (known.empty()) return fmt::format("{} has no subcommand '{}'", app.get_name(), word);
  const std::string near = Nearest(word, known);
  return fmt::format("unknown subcommand '{}'{}; known are {}", word,
                     near.empty() ? "" : fmt::format(" (did you mean {}?)", near),
                     fmt::join(known, " "));
}

std::string UnexpectedWords(const CLI::App& command, const std::vector<std::string>& rest,
                            const std::vector<std::string>& call, bool with_words) {
  std::vector<std::string> flags;
  std::vector<std::string> words;
  bool after_flag = false;
  bool only_words = false;  // behind "--"
  std::vector<std::string> left = rest;
  for (const std::string& word : call) {
    const auto found = std::ranges::find(left, word);
    const bool placed = found == left.end() && !IsOneFlagElsewhere(word);
    if (found != left.end()) left.erase(found);
    if (word == "--") {
      only_words = true;
    } else if (!placed && IsFlag(word) && !only_words) {
      const std::string name = word.substr(0, word.find('='));
      const std::string advice = Advice(command, name);
      flags.push_back(advice.empty() ? name : fmt::format("{} ({})", name, advice));
    } else if (!placed && !after_flag) {
      words.push_back(fmt::format("'{}'", word));
    }
    after_flag = !placed && IsFlag(word);
  }
  std::string message;
  if (!flags.empty()) {
    message = fmt::format("unknown flag{} {}", flags.size() > 1 ? "s" : "", fmt::join(flags, ", "));
  } else if (with_words && !words.empty()) {
    message =
        fmt::format("unexpected word{} {}", words.size() > 1 ? "s" : "", fmt::join(words, ", "));
  }
  return message;
}

}  // namespace crossover::tools
