#include "serve/http/caller.h"

namespace crossover::serve {

bool HoldsKey(const HttpRequest& request, std::string_view key) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string* header = request.Find("authorization");
  if (header == nullptr || !header->starts_with(kScheme)) return false;
  const std::string_view given = std::string_view(*header).substr(kScheme.size());
  unsigned difference = given.size() == key.size() ? 0 : 1;
  for (size_t i = 0; i < key.size(); ++i) {
    const char byte = i < given.size() ? given[i] : '\0';
    difference |= static_cast<unsigned char>(byte ^ key[i]);
  }
  return difference == 0;
}

bool IsFromAnotherSite(const HttpRequest& request) {
  const std::string* origin = request.Find("origin");
  const std::string* host = request.Find("host");
  if (origin == nullptr) return false;
  const size_t scheme = origin->find("://");
  if (scheme == std::string::npos || host == nullptr) return true;
  return std::string_view(*origin).substr(scheme + 3) != *host;
}

bool NamesThisMachine(const HttpRequest& request) {
  const std::string* header = request.Find("host");
  if (header == nullptr) return request.minor_version == 0;
  std::string_view host = *header;
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos &&
                        host.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  if (has_port && !host.ends_with(']')) host = host.substr(0, colon);
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

}  // namespace crossover::serve
