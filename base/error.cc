#include "base/error.h"

#include "base/visible_text.h"

namespace crossover {
Error::Error(ErrorCode code, std::string_view message)
    : std::runtime_error(VisibleText(message)), code_(code) {}

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kCorruptFile:
      return "corrupt_file";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kOutOfMemory:
      return "out_of_memory";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kInterrupted:
      return "interrupted";
    case ErrorCode::kNonFinite:
      return "non_finite";
  }
  return "unknown";
}

}  // namespace crossover
