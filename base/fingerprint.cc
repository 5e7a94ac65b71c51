#include "base/fingerprint.h"

#include <fmt/format.h>

#include <cstdint>

namespace crossover {

std::string Fingerprint(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

}  // namespace crossover
