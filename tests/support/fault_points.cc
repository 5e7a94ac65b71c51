#include "tests/support/fault_points.h"

#include <cstdlib>
#include <fstream>

namespace crossover::test {

size_t PointsAsked(size_t usual) {
  const char* asked = std::getenv("CROSSOVER_FAULT_POINTS");
  return asked == nullptr ? usual : std::strtoull(asked, nullptr, 10);
}

std::vector<uint64_t> Points(uint64_t count, uint64_t most) {
  std::vector<uint64_t> points;
  for (uint64_t n = 1; n <= count && (count <= most || n <= most / 3); ++n) points.push_back(n);
  if (count <= most) return points;
  const uint64_t first = points.size(), rest = most - first;
  for (uint64_t i = 1; i <= rest; ++i) points.push_back(first + (count - first) * i / rest);
  return points;
}

std::map<std::string, uint64_t> ReadCounts(const std::filesystem::path& path) {
  std::ifstream lines(path);
  std::map<std::string, uint64_t> counts;
  std::string kind;
  for (uint64_t n = 0; lines >> kind >> n;) counts[kind] = n;
  return counts;
}

}  // namespace crossover::test
