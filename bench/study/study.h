// Runs a plan cell by cell. Each step of a cell is a child process: a crash, or the kernel killing
// it for memory, loses that cell and is recorded as such. A finished cell is never measured again.
//
// Several processes may run one study (ranks.h): each takes the next cell that nobody has claimed,
// and waits at the end for what others hold, for a claim falls free when its process dies.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "bench/settings.h"
#include "bench/study/plan.h"
#include "bench/study/ranks.h"

namespace crossover::bench {

struct StudyOptions {
  std::filesystem::path directory;  // gets results.jsonl, and the quantised files while they live
  Settings settings;
  std::filesystem::path executable;  // runs `study-cell`; RunningProgram() outside tests
  std::string version;
  Ranks ranks = {};
  bool quiet = false;  // no lines and no progress bar on stderr
};

struct StudySummary {
  size_t cells = 0;
  size_t measured = 0;  // now, by this process; so are those that failed
  size_t skipped = 0;   // were there already
  size_t failed = 0;
  size_t disturbed = 0;  // of those measured now: what else ran took more than disturbance.h allows
  size_t others = 0;     // taken by other processes of this run
};

/// The results file of a study's folder.
std::filesystem::path ResultsPath(const std::filesystem::path& directory);

/// Error(kIo).
void CreateStudyFolder(const std::filesystem::path& directory);

/// Error(kIo) for a folder that cannot be written or that another study writes; Error(kInterrupted)
/// after Ctrl-C, with all finished cells kept.
StudySummary RunStudy(const Plan& plan, const StudyOptions& options);

}  // namespace crossover::bench
