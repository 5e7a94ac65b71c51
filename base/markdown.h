// Text in Markdown.
#pragma once

#include <string>
#include <string_view>

namespace crossover {

/// One line of visible text in which nothing is a column, a link, a tag or code.
std::string EscapeMarkdown(std::string_view text);

}  // namespace crossover
