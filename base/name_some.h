// Lists for people: the first few names, and how many more there are.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace crossover {

/// "a, b, c and 6 more"; all of them if they are `most` or fewer.
std::string NameSome(std::span<const std::string> names, size_t most = 3);

}  // namespace crossover
