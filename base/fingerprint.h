// Short names for contents.
#pragma once

#include <string>
#include <string_view>

namespace crossover {

/// 16 hex digits of 64-bit FNV-1a: names a content, secures nothing.
std::string Fingerprint(std::string_view bytes);

}  // namespace crossover
