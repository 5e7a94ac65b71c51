#include "tokenizer/jinja/from_json.h"

#include <nlohmann/json.hpp>

namespace crossover::tokenizer::jinja {

using nlohmann::ordered_json;

Value FromJson(Budget& budget, const ordered_json& json) {
  switch (json.type()) {
    case ordered_json::value_t::object: {
      DictBuilder dict(budget);
      for (const auto& [key, value] : json.items()) {
        dict.Set(Value::Text(budget, key), FromJson(budget, value));
      }
      return dict.Finish();
    }
    case ordered_json::value_t::array: {
      ListBuilder list(budget);
      for (const ordered_json& element : json) list.Add(FromJson(budget, element));
      return list.Finish();
    }
    case ordered_json::value_t::string:
      return Value::Text(budget, json.get_ref<const std::string&>());
    case ordered_json::value_t::boolean:
      return json.get<bool>();
    case ordered_json::value_t::number_integer:
      return json.get<int64_t>();
    case ordered_json::value_t::number_unsigned:
      // What no int64 holds is a double, as all large numbers are in JavaScript.
      if (json.get<uint64_t>() > INT64_MAX) return json.get<double>();
      return json.get<int64_t>();
    case ordered_json::value_t::number_float:
      return json.get<double>();
    default:
      return nullptr;
  }
}

}  // namespace crossover::tokenizer::jinja
