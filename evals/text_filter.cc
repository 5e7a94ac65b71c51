#include "evals/text_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cctype>

#include "base/error.h"
#include "evals/prompts.h"
#include "evals/wikitext.h"

namespace crossover::evals {
namespace {

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Strip(std::string text) { return std::string(Trim(text)); }

std::string Capitalize(std::string text) {
  for (char& c : text) c = Lower(c);
  if (!text.empty()) text[0] = Upper(text[0]);
  return text;
}

std::string DropBrackets(std::string_view text) {
  std::string result;
  for (size_t open; (open = text.find('[')) != std::string_view::npos;) {
    // A bracket that its own line does not close is text.
    const size_t close = text.find_first_of("]\n", open);
    if (close == std::string_view::npos) break;
    // Where none closes, none is looked for again from the next one that opens.
    const bool closed = text[close] == ']';
    result.append(text.substr(0, closed ? open : close));
    text.remove_prefix(closed ? close + 1 : close);
  }
  return result.append(text);
}

std::string Wikihow(std::string text) {
  // One pass: three spaces become two, as in the harness.
  return ReplaceAll(DropBrackets(ReplaceAll(Strip(std::move(text)), " [title]", ". ")), "  ", " ");
}

std::string Fragment(std::string text) {
  constexpr std::string_view kEnds = ".!?";
  const size_t end = text.find_last_of(kEnds);
  if (end == std::string::npos) return text;
  const size_t start = text.find(' ', end);
  // The sentence is finished if only closing marks follow its end.
  if (start == std::string::npos || text.find_last_not_of("\"') ") == end) return text;
  return text.substr(0, start + 1) + Capitalize(text.substr(start + 1));
}

std::string Spaces(std::string text) { return ReplaceAll(text, "_", " "); }

std::string FirstWords(std::string text) {
  const size_t space = text.rfind(' ');
  return space == std::string::npos ? "" : text.substr(0, space);
}

std::string LastWord(std::string text) {
  const size_t space = text.rfind(' ');
  return space == std::string::npos ? text : text.substr(space + 1);
}

struct NamedFilter {
  std::string_view name;
  std::string (*apply)(std::string);
};
constexpr std::array kFilters = {
    NamedFilter{"strip", Strip},        NamedFilter{"capitalize", Capitalize},
    NamedFilter{"spaces", Spaces},      NamedFilter{"first_words", FirstWords},
    NamedFilter{"last_word", LastWord}, NamedFilter{"wikihow", Wikihow},
    NamedFilter{"fragment", Fragment},  NamedFilter{"wikitext", DetokenizeWikitext},
};

const NamedFilter* Find(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

constexpr std::string_view kBefore = "before:";
constexpr std::string_view kAfter = "after:";

}  // namespace

std::string ApplyFilter(std::string_view filter, std::string text) {
  const bool before = filter.starts_with(kBefore);
  if (before || filter.starts_with(kAfter)) {
    const std::string_view mark = filter.substr(before ? kBefore.size() : kAfter.size());
    const size_t found = text.find(mark);
    if (found == std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("expected \"{}\" in the text", mark));
    }
    return before ? text.substr(0, found) : text.substr(found + mark.size());
  }
  CheckFilter(filter);
  return Find(filter)->apply(std::move(text));
}

void CheckFilter(std::string_view filter) {
  for (const std::string_view prefix : {kBefore, kAfter}) {
    if (filter.starts_with(prefix) && filter.size() > prefix.size()) return;
  }
  if (Find(filter) != nullptr) return;
  std::string names = "before:X, after:X";
  for (const NamedFilter& known : kFilters) names += fmt::format(", {}", known.name);
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("no filter \"{}\"; there are: {}", filter, names));
}

}  // namespace crossover::evals
