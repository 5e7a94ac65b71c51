#include "tools/token_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace crossover::tools {

std::vector<tokenizer::TokenId> ParseTokenIds(std::string_view text, std::string_view origin) {
  constexpr std::string_view kSeparators = " \t\r\n,[]";
  std::vector<tokenizer::TokenId> ids;
  size_t at = text.find_first_not_of(kSeparators);
  while (at != std::string_view::npos) {
    const size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    tokenizer::TokenId id = 0;
    const auto [next, error] = std::from_chars(text.data() + at, text.data() + end, id);
    if (error != std::errc() || next != text.data() + end) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: offset {}: '{}' is no token id; give ids separated by white "
                              "space or commas",
                              origin, at, text.substr(at, std::min<size_t>(end - at, 24))));
    }
    ids.push_back(id);
    at = text.find_first_not_of(kSeparators, end);
  }
  return ids;
}

}  // namespace crossover::tools
