// What goes over a connection: a request as it was read, and what an answer begins with.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossover::serve {

struct HttpRequest {
  std::string method;
  std::string path;   // of the target, as it came: not decoded
  std::string query;  // behind the question mark
  int minor_version = 1;
  bool keep_alive = true;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  /// The first of that name, which is in lower case; null: none.
  const std::string* Find(std::string_view name) const {
    const auto it = std::ranges::find_if(headers, [&](const auto& h) { return h.first == name; });
    return it == headers.end() ? nullptr : &it->second;
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};  // beside those of every answer
  std::string body = {};
};

/// "Not Found"
std::string_view ReasonPhrase(int status);

}  // namespace crossover::serve
