#include "engine/arch/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace crossover::engine {
namespace {

constexpr uint64_t kMostSizes = 65536;  // one a layer

// Larger than any model there is, small enough that products of two cannot overflow.
constexpr uint64_t kMaxSize = uint64_t{1} << 30;
constexpr double kSmallest = 1e-30;
constexpr double kLargest = 1e30;

}  // namespace

Keys::Keys(const GgufFile& file)
    : file_(file), prefix_(std::string(file.String("general.architecture")) + ".") {}

size_t Keys::Size(const std::string& key) const {
  const size_t value = SizeOrNone(key, 0);
  if (value == 0 && !Has(key)) return file_.Uint(prefix_ + key);  // names the missing key
  if (value == 0) Fail(key, fmt::format("is 0, but must be between 1 and {}", kMaxSize));
  return value;
}

size_t Keys::Size(const std::string& key, size_t fallback) const {
  return Has(key) ? Size(key) : fallback;
}

size_t Keys::SizeOrNone(const std::string& key, size_t fallback) const {
  const uint64_t value = Find(key).value_or(fallback);
  if (value > kMaxSize) {
    Fail(key, fmt::format("is {}, but must be between 1 and {}", value, kMaxSize));
  }
  return value;
}

double Keys::Positive(const std::string& key) const {
  if (!Has(key)) Fail(key, "is missing");
  return Positive(key, 0);
}

double Keys::Positive(const std::string& key, double fallback) const {
  const double value = PositiveOrNone(key, fallback);
  if (value == 0) Fail(key, "is 0, but must be a positive number");
  return value;
}

double Keys::PositiveOrNone(const std::string& key, double fallback) const {
  const double value = file_.FindFloat(prefix_ + key).value_or(fallback);
  if (value != 0 && !(value >= kSmallest && value <= kLargest)) {
    Fail(key,
         fmt::format("is {}, but must be a number between {} and {}", value, kSmallest, kLargest));
  }
  return value;
}

bool Keys::Bool(const std::string& key, bool fallback) const {
  return file_.FindBool(prefix_ + key).value_or(fallback);
}

std::string_view Keys::String(const std::string& key, std::string_view fallback) const {
  return file_.FindString(prefix_ + key).value_or(fallback);
}

void Keys::Fail(const std::string& key, const std::string& what, ErrorCode code) const {
  throw Error(code, fmt::format("{}: {}{} {}", file_.path(), prefix_, key, what));
}

std::optional<uint64_t> Keys::Find(const std::string& key) const {
  const GgufValue* value = Value(key);
  if (value == nullptr || value->type != GgufType::kArray) return file_.FindUint(prefix_ + key);
  if (ArrayCount(*value) > kMostSizes)
    Fail(key, "is an array of more sizes than any model's layers");
  const auto numbers = ReadIntegers(*value);
  if (!numbers || numbers->empty() || numbers->front() < 0) {
    Fail(key, "is an array, but none of sizes");
  }
  if (std::ranges::any_of(*numbers, [&](int64_t n) { return n != numbers->front(); })) {
    Fail(key, "differs between layers, which cannot be run", ErrorCode::kUnsupported);
  }
  return static_cast<uint64_t>(numbers->front());
}

}  // namespace crossover::engine
