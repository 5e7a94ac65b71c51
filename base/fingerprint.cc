#include "base/fingerprint.h"

#include <fmt/format.h>

#include <cstdint>

namespace crossover {

std::string Fingerprint(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

std::string FileIdentity(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  return fmt::format("{} {} {}", fs::absolute(path).lexically_normal().string(),
                     fs::is_regular_file(path) ? fs::file_size(path) : 0,
                     fs::last_write_time(path).time_since_epoch().count());
}

}  // namespace crossover
