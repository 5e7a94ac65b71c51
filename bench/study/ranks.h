// A study spread over processes: who of them we are, when mpirun or srun started several.
//
// MPI is used for the beginning alone and is left before the first cell: an MPI program as a whole
// ends with any of its ranks, a study should not. From then on the ranks meet in the study's
// folder, which all hosts must see: claims and results are locked there (record.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace crossover::bench {

struct Ranks {
  size_t rank = 0;
  size_t size = 1;
  size_t sharers = 1;    // ranks on this host
  std::string run = {};  // names this start of all ranks together

  bool alone() const { return size == 1; }
};

/// Whether this build can speak MPI. Without it, ranks are known from the environment that Open
/// MPI's mpirun and Slurm's srun set.
bool HaveMpi();

/// Asks the launcher, if there is one. Error(kIo) if the ranks do not see the same `directory`,
/// which must exist. At most once a process.
Ranks JoinRanks(const std::filesystem::path& directory);

/// What the environment says of a launcher's ranks: for JoinRanks, and for tests.
Ranks RanksOfEnvironment();

}  // namespace crossover::bench
