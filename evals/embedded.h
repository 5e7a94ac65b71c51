// Where the reference family lies that the repository carries: the default of the demo, the
// evaluations and the tests.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace crossover::evals {

/// Error(kNotFound), which lists where it was looked for (base/data_path.h).
std::filesystem::path EmbeddedDirectory();

/// "xs", "s", "m", smallest first.
std::span<const std::string_view> EmbeddedMembers();
std::filesystem::path EmbeddedModel(std::string_view member);  // F16 GGUF
std::filesystem::path EmbeddedHeldout();                       // text for perplexity
std::filesystem::path EmbeddedCalibration();                   // text to calibrate on
std::filesystem::path EmbeddedTasks();                         // directory of *.jsonl

}  // namespace crossover::evals
