// What is said of a path that was given as a model and is none.
#pragma once

#include <filesystem>
#include <string>

#include "engine/files/mapped_file.h"

namespace crossover::engine {

/// Whether `path` is a directory with a model as Hugging Face distributes them. Error(kUnsupported)
/// for another directory: names the GGUF files in it, if there are some.
bool IsHuggingFace(const std::filesystem::path& path);

/// "FILE: what it is instead, and what to do", for a file whose beginning is not what its reader
/// wants; empty if nothing is known of it.
std::string WhatInstead(const MappedFile& file);

/// What a failure to read `path` should add if the file looks like half a download: "; …", or
/// empty.
std::string UnfinishedNote(const std::filesystem::path& path);

}  // namespace crossover::engine
