#include "evals/unpacked_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace crossover::evals {
namespace {

// No data set comes near; a small hostile file could ask for terabytes, and one of a megabyte shall
// not take a gigabyte either.
constexpr size_t kMostBytes = size_t{1} << 30;
constexpr size_t kMostTimes = 32;
constexpr size_t kAlwaysFine = size_t{1} << 20;

}  // namespace

UnpackedText::UnpackedText(size_t packed_bytes, std::string_view source, std::string_view program)
    : source_(source),
      program_(program),
      most_(std::min(kMostBytes, kAlwaysFine + std::min(packed_bytes, kMostBytes) * kMostTimes)) {}

void UnpackedText::Append(std::string_view piece) {
  text_ += piece;
  if (text_.size() <= most_) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: unpacks to more than {} bytes, which no text does; unpack it with "
                          "{} if it is meant",
                          source_, most_, program_));
}

void FailUnpacking(std::string_view source, std::string_view what) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: {}; fetch the file again", source, what));
}

}  // namespace crossover::evals
