// The one way in which JSON text becomes values and values become text. What comes in may be a
// stranger's: nothing here recurses with its depth, and its size is bounded while it is read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace crossover {

/// Brackets within brackets. A tokenizer.json has some ten; what copies, compares or writes a value
/// recurses once a level.
constexpr size_t kMostJsonDepth = 100;
/// Values in one text, keys not counted. The largest tokenizer.json of 2026 has some two million; a
/// value takes up to a hundred bytes of memory.
constexpr size_t kMostJsonValues = size_t{1} << 24;

/// What an error says about a text. Errors read
/// "NAME:LINE: not JSON in KEY (byte N of M); REMEDY".
struct JsonSource {
  std::string name = {};  // of the file
  ErrorCode code = ErrorCode::kCorruptFile;
  std::string remedy = "fetch the file again";
  size_t line = 0;  // of the text's first byte in the file; 0: the text is all of the file
};

/// Of a key that stands twice in one object.
enum class RepeatedKeys {
  kRefuse,    // an error: readers disagree which of the two counts
  kLastWins,  // as in Python, with which most data sets are made
};

/// Error(source.code): no JSON, a number that no double holds, too deep, too many values, a
/// repeated key.
nlohmann::json ParseJson(std::string_view text, const JsonSource& source);

/// The same with keys in the file's order.
nlohmann::ordered_json ParseOrderedJson(std::string_view text, const JsonSource& source,
                                        RepeatedKeys repeated = RepeatedKeys::kRefuse);

/// For an object too large to be held: calls `take` with each of its members in turn, of which none
/// is kept. A key that stands twice comes twice. Error as ParseJson, also for what is no object.
void ForEachJsonMember(
    std::string_view text, const JsonSource& source,
    const std::function<void(const std::string& key, nlohmann::json value)>& take);

/// Never throws for a value's content: bytes that are no UTF-8 become U+FFFD, numbers that are not
/// finite become null. `indent` -1: one line.
std::string DumpJson(const nlohmann::json& value, int indent = -1);
std::string DumpJson(const nlohmann::ordered_json& value, int indent = -1);

/// A path as a text that JSON can hold and PathOfText turns back, which any bytes are on Linux: one
/// that is no UTF-8 becomes \xNN, a backslash two.
std::string PathText(const std::filesystem::path& path);
std::filesystem::path PathOfText(std::string_view text);

}  // namespace crossover
