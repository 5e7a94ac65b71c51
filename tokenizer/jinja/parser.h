// From the text of a template to its tree.
#pragma once

#include <string_view>

#include "tokenizer/jinja/syntax.h"

namespace crossover::tokenizer::jinja {

/// Error(kUnsupported) "line N: …" for what is no template or beyond the language of chat
/// templates: inheritance, includes, call blocks. The tree does not need the budget any more.
Block Parse(Budget& budget, std::string_view source);

}  // namespace crossover::tokenizer::jinja
