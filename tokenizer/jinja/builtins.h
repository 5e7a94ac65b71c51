// The filters, tests, methods and functions that chat templates use.
#pragma once

#include <ctime>
#include <string_view>

#include "tokenizer/jinja/signature.h"
#include "tokenizer/jinja/value.h"

namespace crossover::tokenizer::jinja {

/// `value | name(arguments)`. Error(kUnsupported) for a filter that is not known, or arguments that
/// it does not take.
Value ApplyFilter(Budget& budget, std::string_view name, const Value& value,
                  const Arguments& arguments);

/// `value is name(arguments)`. Error(kUnsupported) for a test that is not known, or arguments that
/// it does not take.
bool ApplyTest(Budget& budget, std::string_view name, const Value& value,
               const Arguments& arguments);

/// Whether texts, dictionaries or lists, whichever `object` is, have such a method.
bool HasMethod(const Value& object, std::string_view name);

/// `object.name(arguments)` if HasMethod. Error(kUnsupported) for arguments that it does not take.
Value CallMethod(Budget& budget, const Value& object, std::string_view name,
                 const Arguments& arguments);

/// What every template can call: namespace, dict, range, raise_exception, strftime_now (of `now`).
void AddFunctions(std::tm now, Namespace& globals);

/// `object.key` and `object[key]`: entries, attributes of namespaces and loops, elements by
/// position from either end; undefined if there is none. Error(kInvalidArgument) if `object` is
/// undefined, Error(kUnsupported) for an attribute of a loop that is not known.
Value GetItem(Budget& budget, const Value& object, const Value& key);

/// The same for a filter's `attribute`: "a.b" is b of a, "0" the first element.
Value GetPath(Budget& budget, const Value& object, const Value& path);

using Filter = Value (*)(Budget&, const Value&, const Bound&);
struct FilterEntry {
  Signature signature;
  Filter apply;
};
/// The filters for lists; null if there is none of this name.
const FilterEntry* FindListFilter(std::string_view name);

/// The filters that hand arguments on to another filter or test; null if there is none.
using ForwardingFilter = Value (*)(Budget&, const Value&, const Arguments&);
ForwardingFilter FindForwardingFilter(std::string_view name);

}  // namespace crossover::tokenizer::jinja
