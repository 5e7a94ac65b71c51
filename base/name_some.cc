#include "base/name_some.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace crossover {

std::string NameSome(std::span<const std::string> names, size_t most) {
  const size_t named = std::min(names.size(), most);
  std::string text = fmt::format("{}", fmt::join(names.first(named), ", "));
  if (named < names.size()) text += fmt::format(" and {} more", names.size() - named);
  return text;
}

}  // namespace crossover
