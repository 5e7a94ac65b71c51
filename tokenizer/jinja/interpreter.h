// Runs a template.
#pragma once

#include <string>

#include "tokenizer/jinja/syntax.h"

namespace crossover::tokenizer::jinja {

/// The text that the template makes of `globals` (variables and functions). Error(kInvalidArgument)
/// and Error(kUnsupported) "line N: …": an operation that its operands do not have, a refusal by
/// the template itself, something that is not supported, or more work or memory than the budget
/// has. Error(kInterrupted) after a signal.
std::string Run(Budget& budget, const Block& block, const Namespace& globals);

}  // namespace crossover::tokenizer::jinja
