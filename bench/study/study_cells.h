// A plan's cells: one for each model, recipe and number of threads, each with the key that says
// whether it was measured already.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/settings.h"
#include "bench/study/plan.h"

namespace crossover::bench {

struct StudyCell {
  PlanModel model = {};
  std::string recipe = {};
  Settings settings = {};
  Metrics metrics = {};      // of a shape: no quality
  std::string name = {};     // "model/recipe", "model/recipe/2 threads" where these vary
  std::string key = {};      // of all that could change its figures
  std::string program = {};  // identity of the program that measures
  std::vector<std::filesystem::path> inputs = {};  // files that are read
  std::vector<std::string> identities = {};        // of their contents, as the key was made
  std::string stamp = {};                          // and their FileStamp
  std::filesystem::path file = {};                 // that is made for it
  /// Bytes of that file: exact for a shape, a guess for real weights.
  double file_bytes = 0;
  /// Seconds on a machine of round numbers: tells cells' shares of a study, no more.
  double work = 0;
};

/// Recipe by recipe, so that what comes first covers all models. `directory`: the study's;
/// `program`: the executable that runs the cells. Reads every input once, for keys are made of what
/// the files hold. Error(kNotFound, kIo).
std::vector<StudyCell> StudyCells(const Plan& plan, const Settings& settings,
                                  const std::filesystem::path& directory,
                                  const std::filesystem::path& program);

/// Whether the cell's files hold what they held when its key was made. Reads them only if they seem
/// to have been touched. Error(kInterrupted).
bool InputsUnchanged(const StudyCell& cell);

/// Why a file of that many bytes cannot be made in `directory` or run here; empty if it can. What
/// `on_disk` already is not asked for again.
std::string LackOfRoom(double bytes, bool on_disk, const std::filesystem::path& directory);

}  // namespace crossover::bench
