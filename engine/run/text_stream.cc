#include "engine/run/text_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "tokenizer/utf8.h"

namespace crossover::engine {
namespace {

/// The longest end of `text` that is the beginning of `stop`, but not all of it.
size_t BeginOf(std::string_view stop, std::string_view text) {
  for (size_t n = std::min(stop.size() - 1, text.size()); n > 0; --n) {
    if (text.ends_with(stop.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

TextStream::TextStream(std::vector<std::string> stop_strings) : stops_(std::move(stop_strings)) {
  if (std::ranges::find(stops_, std::string()) != stops_.end()) {
    throw Error(ErrorCode::kInvalidArgument, "a stop string is empty; it would stop everything");
  }
}

std::string TextStream::Push(std::string_view bytes) {
  held_ += bytes;
  std::optional<std::pair<size_t, size_t>> first;  // end, begin
  for (const std::string& stop : stops_) {
    const size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const std::pair found(begin + stop.size(), begin);
    first = first ? std::min(*first, found) : found;
  }
  if (first) {
    stopped_ = true;
    held_.resize(first->second);
    return Finish();
  }
  size_t back = tokenizer::Utf8CutTail(held_);
  for (const std::string& stop : stops_) back = std::max(back, BeginOf(stop, held_));
  // A stop string may begin inside a character; that is then shown as a whole or not at all.
  std::string_view shown = std::string_view(held_).substr(0, held_.size() - back);
  shown.remove_suffix(tokenizer::Utf8CutTail(shown));
  std::string text = tokenizer::Utf8Repaired(shown);
  held_.erase(0, shown.size());
  return text;
}

std::string TextStream::Finish() { return tokenizer::Utf8Repaired(std::exchange(held_, {})); }

}  // namespace crossover::engine
