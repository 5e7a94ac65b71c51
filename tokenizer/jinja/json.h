// Values as JSON.
#pragma once

#include <optional>
#include <string>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

/// As the arguments of Python's json.dumps.
struct JsonStyle {
  bool ascii = false;                      // others than ASCII as \uXXXX
  std::optional<std::string> indent = {};  // of a level; all in one line if not set
  std::string between = ", ";              // elements
  std::string behind_key = ": ";
  bool sort_keys = false;
};

/// Error(kInvalidArgument) for what JSON cannot express.
Value ToJson(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace crossover::tokenizer::jinja
