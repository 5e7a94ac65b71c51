// Python's text functions, on UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::tokenizer::jinja {

/// Characters one by one; a byte that belongs to none stands alone.
std::vector<std::string_view> Characters(std::string_view text);
size_t CountCharacters(std::string_view text);

/// Which ends of a text are stripped.
enum class Ends { kBoth, kLeft, kRight };

/// Removes white space (Unicode's) from the ends.
std::string_view StripSpace(std::string_view text, Ends ends);
/// Removes any of `characters` from the ends.
std::string_view Strip(std::string_view text, std::string_view characters, Ends ends);

/// At every `separator` (not empty), at most `limit` times.
std::vector<std::string_view> Split(std::string_view text, std::string_view separator,
                                    size_t limit);
/// At runs of white space, which are dropped.
std::vector<std::string_view> SplitAtSpace(std::string_view text);

/// All occurrences of `from`, at most `limit`. Error(kInvalidArgument) if the result outgrows
/// kMaxText.
std::string Replace(std::string_view text, std::string_view from, std::string_view to,
                    size_t limit);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
/// The first letter of the text, or of each word, in upper case; the others in lower case.
std::string Capitalize(std::string_view text);
std::string Title(std::string_view text);

/// A conversation is never longer; a template that makes more is broken or hostile.
inline constexpr size_t kMaxText = size_t{16} << 20;
/// Error(kInvalidArgument) if a text of that many bytes is too long.
void CheckTextSize(size_t bytes);

}  // namespace crossover::tokenizer::jinja
