#include "evals/wikitext.h"

#include <algorithm>
#include <array>

namespace crossover::evals {
namespace {

// White space beyond ASCII by Python's str.isspace, in UTF-8.
constexpr std::array<std::string_view, 19> kWideSpaces = {
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
    "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
    "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
    "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};

// Bytes of the white space character that begins `text`; 0 if there is none.
size_t SpaceLength(std::string_view text) {
  if (text.empty()) return 0;
  const char c = text[0];
  if (c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1C' && c <= '\x1F')) return 1;
  for (const std::string_view space : kWideSpaces) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

// Without white space at both ends.
std::string_view Stripped(std::string_view text) {
  while (const size_t space = SpaceLength(text)) text.remove_prefix(space);
  size_t end = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t space = SpaceLength(text.substr(i));
    i += std::max<size_t>(space, 1);
    if (space == 0) end = i;
  }
  return text.substr(0, end);
}

// Drops white space inside each pair of marks; what follows a mark without its partner stays.
std::string TightenPairs(std::string_view text, char open, char close) {
  std::string result;
  while (true) {
    const size_t begin = text.find(open);
    const size_t end = begin == std::string_view::npos ? begin : text.find(close, begin + 1);
    if (end == std::string_view::npos) return result.append(text);
    result.append(text.substr(0, begin + 1));
    result.append(Stripped(text.substr(begin + 1, end - begin - 1))) += close;
    text.remove_prefix(end + 1);
  }
}

bool IsTitle(std::string_view line) {
  const std::string joined = ReplaceAll(ReplaceAll(line, "= = =", "==="), "= =", "==");
  const std::string_view title = Stripped(joined);
  return title.starts_with("= ") && title.ends_with(" =");
}

}  // namespace

std::vector<std::pair<size_t, std::string_view>> WikitextPages(std::string_view text) {
  std::vector<std::pair<size_t, std::string_view>> pages;
  // A page ends before the line feed in front of the next one's title.
  const auto add = [&](size_t begin, size_t end) {
    const std::string_view page = text.substr(begin, end - begin);
    if (!Stripped(page).empty()) pages.emplace_back(begin, page);
  };
  size_t page = 0;
  for (size_t line = 0; line <= text.size();) {
    const size_t end = std::min(text.find('\n', line), text.size());
    if (IsTitle(text.substr(line, end - line))) {
      if (line > page) add(page, line - 1);
      page = line;
    }
    line = end + 1;
  }
  if (page < text.size()) add(page, text.size());
  return pages;
}

std::string DetokenizeWikitext(std::string text) {
  using Replacement = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Replacement, 10> kWords = {{{"s '", "s'"},
                                                   {" @-@ ", "-"},
                                                   {" @,@ ", ","},
                                                   {" @.@ ", "."},
                                                   {" : ", ": "},
                                                   {" ; ", "; "},
                                                   {" . ", ". "},
                                                   {" ! ", "! "},
                                                   {" ? ", "? "},
                                                   {" , ", ", "}}};
  constexpr std::array<Replacement, 8> kMarks = {{{"= = = =", "===="},
                                                  {"= = =", "==="},
                                                  {"= =", "=="},
                                                  {" \xC2\xB0 ", "\xC2\xB0"},
                                                  {" \n", "\n"},
                                                  {"\n ", "\n"},
                                                  {" N ", " 1 "},
                                                  {" 's", "'s"}}};
  for (const auto& [from, to] : kWords) text = ReplaceAll(text, from, to);
  for (const std::string_view pair : {"()", "[]", "{}", "\"\"", "''"}) {
    text = TightenPairs(text, pair[0], pair[1]);
  }
  for (const auto& [from, to] : kMarks) text = ReplaceAll(text, from, to);
  return text;
}

size_t CountWords(std::string_view text) {
  size_t words = 1;
  bool in_space = false;
  while (!text.empty()) {
    const size_t space = SpaceLength(text);
    if (space > 0 && !in_space) ++words;
    in_space = space > 0;
    text.remove_prefix(std::max<size_t>(space, 1));
  }
  return words;
}

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (size_t found; (found = text.find(from)) != std::string_view::npos;) {
    result.append(text.substr(0, found)).append(to);
    text.remove_prefix(found + from.size());
  }
  return result.append(text);
}

}  // namespace crossover::evals
