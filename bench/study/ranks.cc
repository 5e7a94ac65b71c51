#include "bench/study/ranks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/join_path.h"
#include "base/output_file.h"
#include "bench/machine/system.h"

#if CROSSOVER_HAS_MPI
// The C interface alone: the C++ one is deprecated, and its headers warn.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

/// What a launcher puts into the environment of each rank.
struct Launcher {
  const char* rank;
  const char* size;
  const char* sharers;
  std::array<const char*, 2> run;
};
constexpr std::array<Launcher, 2> kLaunchers{{
    {"OMPI_COMM_WORLD_RANK",
     "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_SIZE",
     {"PMIX_NAMESPACE", "PMIX_SERVER_TMPDIR"}},
    {"SLURM_PROCID",
     "SLURM_STEP_NUM_TASKS",
     "SLURM_STEP_TASKS_PER_NODE",
     {"SLURM_JOB_ID", "SLURM_STEP_ID"}},
}};

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

size_t Number(const char* name, size_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoul(value, nullptr, 10);
}

std::string NewRun() { return fmt::format("{}-{}", UtcTimestamp(), getpid()); }

#if CROSSOVER_HAS_MPI

/// Rank 0 leaves a file that the others must see.
bool AllSee(const fs::path& directory, const std::string& run, bool first) {
  const fs::path mark = JoinPath(directory, fmt::format(".{}", run));
  if (first) WriteFile(mark, "");
  MPI_Barrier(MPI_COMM_WORLD);
  int seen = fs::exists(mark) ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &seen, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  if (first) fs::remove(mark);
  return seen == 1;
}

Ranks RanksOfMpi(const fs::path& directory) {
  MPI_Init(nullptr, nullptr);
  int rank = 0;
  int size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm here = MPI_COMM_NULL;
  int sharers = 1;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &here);
  MPI_Comm_size(here, &sharers);
  MPI_Comm_free(&here);
  std::array<char, 64> run{};
  NewRun().copy(run.data(), run.size() - 1);
  MPI_Bcast(run.data(), static_cast<int>(run.size()), MPI_CHAR, 0, MPI_COMM_WORLD);
  const Ranks ranks{.rank = static_cast<size_t>(rank),
                    .size = static_cast<size_t>(size),
                    .sharers = static_cast<size_t>(sharers),
                    .run = run.data()};
  const bool shared = AllSee(directory, ranks.run, rank == 0);
  MPI_Finalize();
  if (shared) return ranks;
  throw Error(ErrorCode::kIo, fmt::format("{}: not every rank sees the same folder; it must lie "
                                          "where all hosts have it",
                                          directory.string()));
}

#endif

}  // namespace

bool HaveMpi() { return CROSSOVER_HAS_MPI; }

Ranks RanksOfEnvironment() {
  for (const Launcher& launcher : kLaunchers) {
    const size_t size = Number(launcher.size, 1);
    if (size <= 1 || std::getenv(launcher.rank) == nullptr) continue;
    return {.rank = Number(launcher.rank, 0),
            .size = size,
            .sharers = std::max<size_t>(Number(launcher.sharers, 1), 1),
            .run = Variable(launcher.run[0]) + "." + Variable(launcher.run[1])};
  }
  return {.run = NewRun()};
}

Ranks JoinRanks([[maybe_unused]] const fs::path& directory) {
  const Ranks told = RanksOfEnvironment();
  if (told.alone()) return told;
#if CROSSOVER_HAS_MPI
  // srun without an MPI plugin gives each rank a world of its own.
  if (const Ranks ranks = RanksOfMpi(directory); !ranks.alone()) return ranks;
#endif
  return told;
}

}  // namespace crossover::bench
