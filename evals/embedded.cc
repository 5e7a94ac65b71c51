#include "evals/embedded.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "base/data_path.h"

namespace crossover::evals {

std::filesystem::path EmbeddedDirectory() { return DataPath("models"); }

std::span<const std::string_view> EmbeddedMembers() {
  static constexpr std::array<std::string_view, 3> kMembers = {"xs", "s", "m"};
  return kMembers;
}

std::filesystem::path EmbeddedModel(std::string_view member) {
  return EmbeddedDirectory() / fmt::format("reference-{}.gguf", member);
}

std::filesystem::path EmbeddedHeldout() { return EmbeddedDirectory() / "heldout.txt"; }

std::filesystem::path EmbeddedCalibration() { return EmbeddedDirectory() / "calibration.txt"; }

std::filesystem::path EmbeddedTasks() { return EmbeddedDirectory() / "tasks"; }

}  // namespace crossover::evals
