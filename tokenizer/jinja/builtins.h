// The filters, tests, methods and functions that chat templates use.
#pragma once

#include <ctime>
#include <optional>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

/// `value | name(arguments)`. Error(kUnsupported) for a filter that is not known.
Value ApplyFilter(std::string_view name, const Value& value, const Arguments& arguments);

/// `value is name(arguments)`. Error(kUnsupported) for a test that is not known.
bool ApplyTest(std::string_view name, const Value& value, const Arguments& arguments);

/// `object.name(arguments)` for texts and dictionaries; nothing if they have no such method.
std::optional<Value> CallMethod(const Value& object, std::string_view name,
                                const Arguments& arguments);

/// What every template can call: namespace, dict, range, raise_exception, strftime_now (of `now`).
void AddFunctions(std::tm now, Namespace& globals);

/// `object.key` and `object[key]`: entries, attributes of namespaces, elements by position from
/// either end; undefined if there is none. Error(kInvalidArgument) if `object` is undefined.
Value GetItem(const Value& object, const Value& key);

}  // namespace crossover::tokenizer::jinja
