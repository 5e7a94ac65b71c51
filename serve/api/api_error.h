// What a request is refused with, in the shape that OpenAI's clients read.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "serve/http/message.h"

namespace crossover::serve {

class ApiError : public std::runtime_error {
 public:
  /// `param`: the member of the body that is at fault, if one is; `code`: for programs, may be
  /// empty.
  ApiError(int status, const std::string& what, std::string param = {}, std::string code = {})
      : std::runtime_error(what),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)) {}

  int status() const { return status_; }
  const std::string& param() const { return param_; }
  const std::string& code() const { return code_; }

 private:
  int status_;
  std::string param_;
  std::string code_;
};

/// {"error": {"message", "type", "param", "code"}}, one line.
std::string ErrorBody(const ApiError& error);
HttpResponse ErrorResponse(const ApiError& error);

}  // namespace crossover::serve
