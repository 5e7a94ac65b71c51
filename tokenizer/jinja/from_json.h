// JSON as values.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

/// Objects keep the order of their keys. Errors of ListBuilder and DictBuilder: too deep, too much.
Value FromJson(Budget& budget, const nlohmann::ordered_json& json);

}  // namespace crossover::tokenizer::jinja
