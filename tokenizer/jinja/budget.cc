#include "tokenizer/jinja/budget.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"

namespace crossover::tokenizer::jinja {
namespace {

const char* StackPointer() { return static_cast<const char*>(__builtin_frame_address(0)); }

}  // namespace

StackGuard::StackGuard() : base_(StackPointer()), limit_(size_t{1} << 20) {
  rlimit stack{};
  if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY) {
    limit_ = std::min<size_t>(limit_, stack.rlim_cur / 4);
  }
}

void StackGuard::Check() const {
  const char* here = StackPointer();
  const auto used = static_cast<size_t>(here < base_ ? base_ - here : here - base_);
  if (used > limit_) throw Error(ErrorCode::kUnsupported, "nested too deep");
}

void Budget::LookForSignal() {
  since_look_ = 0;
  ThrowIfInterrupted();
}

void Budget::OutOfSteps() const {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("the template does more work than any conversation needs (the limit is "
                          "{} steps)",
                          limits_.steps));
}

void Budget::OutOfMemory() const {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("the template takes more memory than any conversation needs (the limit "
                          "is {} MiB)",
                          limits_.bytes >> 20));
}

void Budget::TextTooLong() const {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("the template makes a text of more than {} bytes", limits_.text));
}

}  // namespace crossover::tokenizer::jinja
