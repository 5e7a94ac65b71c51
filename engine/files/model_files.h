// The files that make up a model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace crossover::engine {

/// What loading or quantising `path` reads, in order of their names: the file itself; all parts
/// that are there of a split model (NAME-00001-of-00003.gguf); of a Hugging Face folder the weights
/// and what describes them (config, tokenizer, index, templates), but no page about the model and
/// nothing in folders inside it. Not opened, so a name alone makes a part. Error(kNotFound).
std::vector<std::filesystem::path> ModelFiles(const std::filesystem::path& path);

/// Names what these files hold, with their own names where there are several, so that parts that
/// change places count as a change. Errors of ContentIdentity.
std::string ModelIdentity(const std::filesystem::path& path);

}  // namespace crossover::engine
