// Named edits of a field's text, as task files write them: {sentence|after:_|strip}.
#pragma once

#include <string>
#include <string_view>

namespace crossover::evals {

/// strip            without white space at both ends
/// capitalize       the first letter large, all others small (ASCII letters)
/// spaces           "_" becomes " "
/// before:X after:X what stands before or after the first X; X must occur
/// first_words      without the last word (words are split at single spaces)
/// last_word        the last word alone
/// wikihow          HellaSwag's clean-up: strip, " [title]" → ". ", drop [...], "  " → " "
/// fragment         capitalizes an unfinished sentence at the end: "… roof. he" → "… roof. He"
/// wikitext         WikiText as ordinary text (evals/wikitext.h)
/// Error(kInvalidArgument) names a filter that does not exist or cannot be applied.
std::string ApplyFilter(std::string_view filter, std::string text);

/// Error(kInvalidArgument) lists the filters there are.
void CheckFilter(std::string_view filter);

}  // namespace crossover::evals
