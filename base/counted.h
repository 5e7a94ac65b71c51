// A number with its noun, for people: "1 token", "2 tokens".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossover {

/// "1 token", "0 tokens", "2 tokens"; give `plural` where it is not the noun with an s.
std::string Counted(uint64_t number, std::string_view noun, std::string_view plural = {});

}  // namespace crossover
