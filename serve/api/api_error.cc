#include "serve/api/api_error.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace crossover::serve {
namespace {

using nlohmann::ordered_json;

constexpr const char* kRetrySeconds = "1";

std::string_view TypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

ordered_json OrNull(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

}  // namespace

std::string ErrorBody(const ApiError& error) {
  return DumpJson(ordered_json{{"error",
                                {{"message", error.what()},
                                 {"type", TypeOf(error.status())},
                                 {"param", OrNull(error.param())},
                                 {"code", OrNull(error.code())}}}});
}

HttpResponse ErrorResponse(const ApiError& error) {
  HttpResponse response{.status = error.status(), .body = ErrorBody(error)};
  if (error.status() == 503) response.headers.emplace_back("Retry-After", kRetrySeconds);
  if (error.status() == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace crossover::serve
