// What `==`, `<` and `in` say of two values.
#pragma once

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

bool Equal(Budget& budget, const Value& a, const Value& b);

/// Numbers or texts; Error(kInvalidArgument) for others.
bool Less(Budget& budget, const Value& a, const Value& b);

/// `needle in haystack`.
bool Contains(Budget& budget, const Value& haystack, const Value& needle);

}  // namespace crossover::tokenizer::jinja
