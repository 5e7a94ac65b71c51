// Operators and slices.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

/// not, -, +.
Value ApplyUnary(std::string_view op, const Value& operand);

/// == != < > <= >= in "not in" + - * / // % ~. Error(kInvalidArgument) for operands that an
/// operator does not take, a division by zero, or an integer out of range.
Value ApplyBinary(Budget& budget, std::string_view op, const Value& left, const Value& right);

/// value[start:stop:step] of a list or a text. Error(kInvalidArgument) of anything else.
Value Slice(Budget& budget, const Value& value, std::optional<int64_t> start,
            std::optional<int64_t> stop, std::optional<int64_t> step);

}  // namespace crossover::tokenizer::jinja
