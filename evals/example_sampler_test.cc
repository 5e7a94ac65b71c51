#include "evals/example_sampler.h"

#include <algorithm>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using Indices = std::vector<size_t>;

// What CPython 3.11 prints for r = random.Random(1234); r.sample(range(n), k), one after another.
TEST_CASE("example sampler: the indices Python draws") {
  PythonRandom random(kExampleSeed);
  CHECK(random.Sample(7473, 5) == Indices{6374, 3610, 957, 61, 742});
  CHECK(random.Sample(7473, 5) == Indices{7462, 6610, 4769, 286, 5501});
  CHECK(random.Sample(5, 3) == Indices{0, 4, 1});
  Indices many = random.Sample(100, 25);
  many.resize(6);
  CHECK(many == Indices{30, 2, 3, 98, 44, 82});
  CHECK(random.Sample(20, 6) == Indices{18, 1, 8, 2, 9, 7});
}

TEST_CASE("example sampler: all of them once") {
  PythonRandom random(1);
  Indices all = random.Sample(30, 30);
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i < all.size(); ++i) CHECK(all[i] == i);
}

}  // namespace
}  // namespace crossover::evals
