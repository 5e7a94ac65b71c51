#include "evals/embedded.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "source_root.h"

namespace crossover::evals {

std::filesystem::path EmbeddedDirectory() {
  const char* chosen = std::getenv("CROSSOVER_MODELS");
  const std::filesystem::path directory =
      chosen != nullptr ? std::filesystem::path(chosen)
                        : std::filesystem::path(CROSSOVER_SOURCE_ROOT) / "models";
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}: no such directory; set CROSSOVER_MODELS to where the reference "
                            "family's models/ lies",
                            directory.string()));
  }
  return directory;
}

std::span<const std::string_view> EmbeddedMembers() {
  static constexpr std::array<std::string_view, 3> kMembers = {"xs", "s", "m"};
  return kMembers;
}

std::filesystem::path EmbeddedModel(std::string_view member) {
  return EmbeddedDirectory() / fmt::format("reference-{}.gguf", member);
}

std::filesystem::path EmbeddedHeldout() { return EmbeddedDirectory() / "heldout.txt"; }

std::filesystem::path EmbeddedTasks() { return EmbeddedDirectory() / "tasks"; }

}  // namespace crossover::evals
