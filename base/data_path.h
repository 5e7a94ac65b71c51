// Where the files lie that come with the program: models, held-out text, tasks, plans.
#pragma once

#include <filesystem>
#include <string>

namespace crossover {

/// A file or folder by its path in the source tree, for example "models/reference-m.gguf". The
/// first place that has it, of:
///   1. $CROSSOVER_DATA
///   2. ../share/crossover beside the running program, where `meson install` puts it
///   3. the source tree that the program was built from
/// Error(kNotFound) lists the places.
std::filesystem::path DataPath(const std::string& relative);

/// The running program's file, where it lay when it was started. What lies there now may be
/// another.
std::filesystem::path ExecutablePath();

/// The running program itself, to be started once more or read: the kernel holds it, whatever has
/// been put into its place since.
std::filesystem::path RunningProgram();

}  // namespace crossover
