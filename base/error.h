// The one exception type of the project: thrown while loading, parsing and writing, never on the
// hot path of a forward pass.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace crossover {

enum class ErrorCode {
  kInvalidArgument,  // the caller's arguments are wrong
  kNotFound,         // a file, tensor, key or name that is not there
  kCorruptFile,      // a file that contradicts itself or its format
  kUnsupported,      // well-formed, but not something Crossover can run
  kOutOfMemory,
  kIo,           // the operating system refused to read or write
  kInterrupted,  // Ctrl-C
  kNonFinite,    // a NaN or infinity where a number was due
};

/// One clear line: what is wrong, where (file and offset, or name), and what to do about it.
/// Control characters in names that came out of a file are written as \xNN, so that it stays one.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string_view message);
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Short name for logs and JSON, for example "corrupt_file".
std::string_view ErrorCodeName(ErrorCode code);

}  // namespace crossover
