#include "tokenizer/jinja/signature.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {

Bound::Bound(std::string_view name, const Signature& signature, const Arguments& arguments)
    : name_(name), signature_(signature) {
  const auto& parameters = signature.parameters;
  const auto count =
      static_cast<size_t>(std::ranges::find(parameters, std::string_view()) - parameters.begin());
  if (arguments.positional.size() > count) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: {} arguments are given, and at most {} supported", name,
                            arguments.positional.size(), count));
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
  for (const auto& [key, value] : arguments.named) {
    const auto place = static_cast<size_t>(
        std::find(parameters.begin(), parameters.begin() + static_cast<ptrdiff_t>(count), key) -
        parameters.begin());
    if (place == count) {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{}: the argument '{}' is not supported", name, Shortened(key)));
    }
    if (values_[place] != nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: the argument '{}' is given twice", name, key));
    }
    values_[place] = &value;
  }
  for (size_t i = 0; i < signature.required; ++i) {
    if (values_[i] != nullptr) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: the argument '{}' is missing", name, parameters[i]));
  }
}

const std::string& Bound::Text(size_t parameter) const {
  const Value* value = values_[parameter];
  if (value == nullptr || value->string() == nullptr) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: the argument '{}' must be text, not {}", name_,
                    signature_.parameters[parameter], value ? value->description() : "nothing"));
  }
  return *value->string();
}

}  // namespace crossover::tokenizer::jinja
