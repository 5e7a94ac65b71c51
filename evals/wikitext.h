// WikiText's own spelling: its pages, and the way back to ordinary text, as lm-evaluation-harness
// takes them for its perplexities.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossover::evals {

/// The text cut before every line " = Title = " of the first level; each page with the offset at
/// which it begins. What is blank before the first title is dropped. The cut looks at lines alone,
/// as the harness's does, so that two formulas of WikiText-2's test set begin pages of their own.
std::vector<std::pair<size_t, std::string_view>> WikitextPages(std::string_view text);

/// " @-@ " → "-", " , " → ", ", "( x )" → "(x)", "= = " → "==" and so on.
std::string DetokenizeWikitext(std::string text);

/// Pieces between runs of Unicode white space; those before and behind it count too, though empty.
size_t CountWords(std::string_view text);

/// Every `from` becomes `to`, in one pass from left to right.
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);

}  // namespace crossover::evals
