#include "kernels/team.h"

#include <hwy/targets.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/error.h"
#include "kernels/isa.h"
#include "tests/support/test_support.h"

namespace crossover::kernels {
namespace {

TEST_CASE("team: shares cover everything once, in order, at multiples") {
  for (size_t size = 1; size <= 7; ++size) {
    for (const size_t multiple : {1, 4, 16}) {
      for (const size_t n : {0, 1, 3, 15, 16, 17, 50, 1000}) {
        CAPTURE(size);
        CAPTURE(multiple);
        CAPTURE(n);
        size_t next = 0;
        for (size_t rank = 0; rank < size; ++rank) {
          const Worker worker{.rank = rank, .size = size, .barrier = nullptr, .scratch = {}};
          const Range share = worker.Split(n, multiple);
          REQUIRE(share.begin == next);
          REQUIRE(share.end >= share.begin);
          REQUIRE((share.begin % multiple == 0 || share.begin == n));
          // No share is more than a unit larger than another.
          REQUIRE(share.size() <= (n / multiple / size + 1) * multiple);
          next = share.end;
        }
        REQUIRE(next == n);
      }
    }
  }
}

TEST_CASE("team: every worker runs once, with its own aligned scratch") {
  for (const size_t size : {1, 2, 3, 5}) {
    Team team(size);
    CHECK(team.size() == size);
    std::vector<std::byte*> scratch(size);
    for (int repeat = 0; repeat < 3; ++repeat) {
      std::vector<int> runs(size);
      team.Run([&](const Worker& worker) {
        ++runs[worker.rank];
        scratch[worker.rank] = worker.scratch.data();
        for (std::byte& b : worker.scratch.first(4096)) b = static_cast<std::byte>(worker.rank);
      });
      CHECK(runs == std::vector<int>(size, 1));
    }
    for (size_t rank = 0; rank < size; ++rank) {
      CHECK(reinterpret_cast<uintptr_t>(scratch[rank]) % 64 == 0);
      CHECK(scratch[rank][4095] == static_cast<std::byte>(rank));
    }
  }
}

TEST_CASE("team: a barrier holds everybody until the last has come") {
  constexpr int kSteps = 2000;
  for (const size_t size : {1, 2, 3, 4}) {
    Team team(size);
    std::vector<int> written(size);  // plain: the barrier alone orders these
    std::atomic<int> wrong{0};
    team.Run([&](const Worker& worker) {
      for (int step = 1; step <= kSteps; ++step) {
        written[worker.rank] = step;
        worker.Sync();
        for (const int w : written) wrong += w != step;
        worker.Sync();
      }
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("team: shared work is done once, at multiples, also what its owner is late for") {
  for (const size_t size : {1, 2, 3, 5}) {
    Team team(size);
    for (const size_t n : {0, 1, 15, 16, 17, 160, 5000}) {
      for (const size_t least : {1, 4}) {
        constexpr size_t kSteps = 20;
        std::vector<std::atomic<int>> done(n);
        std::atomic<int> wrong{0};
        team.Run([&](const Worker& worker) {
          // No barrier between steps: some are ahead of others, and must not mix them up.
          for (size_t step = 0; step < kSteps; ++step) {
            worker.Share(n, 16, least, [&](Range r) {
              wrong += r.begin % 16 != 0 || (r.end % 16 != 0 && r.end != n) || r.empty();
              for (size_t i = r.begin; i < r.end; ++i) ++done[i];
            });
          }
        });
        for (const auto& times : done) wrong += times != static_cast<int>(kSteps);
        CHECK(wrong == 0);
      }
    }
  }
}

// All workers count the same calls, each call resets the workers, and a barrier keeps the
// workers within a few calls of each other: a step and the one 65536 later never meet.
TEST_CASE("team: steps are not mixed up where their count wraps") {
  constexpr size_t kItems = 100, kSteps = 40;
  Team team(3);
  std::vector<std::atomic<int>> done(kItems);
  team.Run([&](const Worker& worker) {
    worker.parts[worker.rank].step = UINT16_MAX - kSteps / 2;
    worker.Sync();
    for (size_t step = 0; step < kSteps; ++step) {
      worker.Share(kItems, 1, 1, [&](Range r) {
        for (size_t i = r.begin; i < r.end; ++i) ++done[i];
      });
    }
  });
  for (const auto& times : done) CHECK(times == static_cast<int>(kSteps));
}

TEST_CASE("team: who is done takes from who is late") {
  constexpr size_t kItems = 64;
  Team team(2);
  std::vector<std::atomic<int>> owner(kItems);
  std::atomic<size_t> taken{0};
  std::atomic<bool> late{false};  // the second worker has a piece, and stays in it
  team.Run([&](const Worker& worker) {
    worker.Share(kItems, 1, 1, [&](Range r) {
      for (size_t i = r.begin; i < r.end; ++i) owner[i] = static_cast<int>(worker.rank);
      taken += r.size();
      if (worker.rank == 1) {
        late = true;
        while (taken < kItems) std::this_thread::yield();
      } else {
        while (!late) std::this_thread::yield();
      }
    });
  });
  // The second worker's first piece is a quarter of its half.
  const auto of_second = static_cast<size_t>(
      std::count_if(owner.begin(), owner.end(), [](const auto& rank) { return rank == 1; }));
  CHECK(taken == kItems);
  CHECK(of_second == kItems / 2 / 4);
}

TEST_CASE("team: impossible teams are refused") {
  CHECK_THROWS_AS(Team(0), Error);
  Team outer(2);
  Team inner(2);
  std::atomic<int> refused{0};
  outer.Run([&](const Worker&) {
    try {
      inner.Run([](const Worker&) {});
    } catch (const Error&) {
      ++refused;
    }
  });
  CHECK(refused == 2);
}

TEST_CASE("isa: a forced level is the one that runs") {
  const std::string before(SelectedIsa());
  size_t available = 0;
  for (const IsaLevel& level : IsaLevels()) {
    CAPTURE(level.name);
    if (!level.available) {
      CHECK_THROWS_AS(SelectIsa(level.name), Error);
      continue;
    }
    ++available;
    SelectIsa(level.name);
    CHECK(SelectedIsa() == level.name);
    CHECK(ExecutedIsa() == level.name);
    CHECK(SelectedIsa() == level.name);  // asking changes nothing
  }
  CHECK(available >= 1);  // the fallback at least
  SelectIsa("auto");
  for (const IsaLevel& level : IsaLevels()) {  // best first
    if (!level.available) continue;
    CHECK(ExecutedIsa() == level.name);
    break;
  }
  SelectIsa(before);
}

TEST_CASE("isa: a CPU without a known level runs the fallback, and says so") {
  const std::string before(SelectedIsa());
  SelectIsa("scalar");               // without what a level has beside Highway's targets
  hwy::GetChosenTarget().Update(0);  // as Highway does on such a CPU
  CHECK(SelectedIsa() == "scalar");
  CHECK(ExecutedIsa() == "scalar");
  SelectIsa(before);
}

TEST_CASE("isa: an unknown level is an error that names the known ones") {
  const std::string before(SelectedIsa());
  try {
    SelectIsa("avx9000");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    const std::string message = error.what();
    CHECK(message.find("avx9000") != std::string::npos);
    for (const IsaLevel& level : IsaLevels()) {
      CHECK(message.find(level.name) != std::string::npos);
    }
  }
  CHECK(SelectedIsa() == before);

  setenv("CROSSOVER_ISA", "scalar", 1);
  SelectIsaFromEnvironment();
  CHECK(ExecutedIsa() == "scalar");
  setenv("CROSSOVER_ISA", "nonsense", 1);
  CHECK_THROWS_AS(SelectIsaFromEnvironment(), Error);
  unsetenv("CROSSOVER_ISA");
  SelectIsaFromEnvironment();
  CHECK(ExecutedIsa() == "scalar");
  SelectIsa(before);
}

}  // namespace
}  // namespace crossover::kernels
