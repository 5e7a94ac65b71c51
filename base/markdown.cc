#include "base/markdown.h"

#include <fmt/format.h>

#include "base/visible_text.h"

namespace crossover {

std::string EscapeMarkdown(std::string_view text) {
  // As entities: a backslash in front could be taken away by one that is in the text.
  constexpr std::string_view kSpecial = "&<>|[]*`";
  std::string out;
  for (const char c : VisibleText(text)) {
    if (kSpecial.find(c) == kSpecial.npos) {
      out += c;
    } else {
      out += fmt::format("&#{};", static_cast<int>(c));
    }
  }
  return out;
}

}  // namespace crossover
