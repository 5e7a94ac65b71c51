// Where the reference family lies that the repository carries: the default of the demo, the
// evaluations and the tests.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace crossover::evals {

/// The environment's CROSSOVER_MODELS, or models/ of the source tree this program was built from.
/// Error(kNotFound) says so if it is not there.
std::filesystem::path EmbeddedDirectory();

/// "xs", "s", "m", smallest first.
std::span<const std::string_view> EmbeddedMembers();
std::filesystem::path EmbeddedModel(std::string_view member);  // F16 GGUF
std::filesystem::path EmbeddedHeldout();                       // text for perplexity
std::filesystem::path EmbeddedTasks();                         // directory of *.jsonl

}  // namespace crossover::evals
