// JSON that is written straight into a text: answers with log-probabilities have thousands of
// tokens, and a tree of values for each would cost more than the tokens did.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossover::serve {

/// With quotes. Bytes that are no UTF-8 become U+FFFD.
void AppendString(std::string& out, std::string_view text);
/// The shortest digits that a reader turns into the same double; null if it is not finite.
void AppendNumber(std::string& out, double number);
void AppendNumber(std::string& out, size_t number);
/// "NAME":
void AppendKey(std::string& out, std::string_view name);

}  // namespace crossover::serve
