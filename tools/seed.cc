#include "tools/seed.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <random>

#include "tools/checks.h"

namespace crossover::tools {
namespace {

constexpr const char* kDraw = "-1";

}  // namespace

Flag Seed::AddTo(const Subcommand& command, const std::string& what) {
  const WordCheck number = WholeFrom(0, std::numeric_limits<uint64_t>::max());
  return command.Add("--seed", word_, what + "; -1 draws one and tells it")
      .Check([number](const std::string& word) {
        if (word == kDraw) return std::string();
        const std::string wrong = number(word);
        return wrong.empty() ? wrong : wrong + ", nor -1";
      })
      .Type("N")
      .ShowDefault();
}

uint64_t Seed::Take() const {
  if (word_ != kDraw) {
    uint64_t seed = 0;
    std::from_chars(word_.data(), word_.data() + word_.size(), seed);
    return seed;
  }
  // Few digits, for whoever types it again.
  std::random_device device;
  const uint64_t seed = device();
  fmt::print(stderr, "crossover: drew --seed {}\n", seed);
  return seed;
}

}  // namespace crossover::tools
