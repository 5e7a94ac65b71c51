// Who may ask: keys, and what browsers tell of the page that a request comes from.
#pragma once

#include <string_view>

#include "serve/http/message.h"

namespace crossover::serve {

/// "Authorization: Bearer KEY". The time that it takes tells nothing about the key but its length.
bool HoldsKey(const HttpRequest& request, std::string_view key);

/// A browser says so: an Origin that is not the Host.
bool IsFromAnotherSite(const HttpRequest& request);

/// Host is localhost or a loopback address, with any port.
bool NamesThisMachine(const HttpRequest& request);

}  // namespace crossover::serve
