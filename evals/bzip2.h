// Unpacking of .bz2 files, where the build found the library.
#pragma once

#include <string>
#include <string_view>

namespace crossover::evals {

/// All streams of the file, one after the other. Error(kInvalidArgument) for a damaged file or one
/// that unpacks to more than 1 GiB, Error(kUnsupported) where the library is absent.
std::string UnpackBzip2(std::string_view packed, std::string_view source);

}  // namespace crossover::evals
