// Unpacking of .gz files (RFC 1952), where the build found zlib.
#pragma once

#include <string>
#include <string_view>

namespace crossover::evals {

/// All members of the file, one after the other. Error(kInvalidArgument) for a damaged file or one
/// that unpacks to more than 1 GiB, Error(kUnsupported) where the library is absent.
std::string UnpackGzip(std::string_view packed, std::string_view source);

}  // namespace crossover::evals
