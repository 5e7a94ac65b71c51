// Which answered examples stand before an item: the ones lm-evaluation-harness shows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace crossover::evals {

/// The generator of Python's `random.Random(seed)`: MT19937 seeded by init_by_array with one word
/// (Matsumoto and Nishimura, 2002). std::mt19937 has no such seeding.
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);

  /// `sample(range(n), k)` of CPython 3.11+, the same indices in the same order. k ≤ n < 2^32.
  std::vector<size_t> Sample(size_t n, size_t k);

 private:
  uint32_t Next();
  size_t Below(size_t n);  // n > 0

  std::array<uint32_t, 624> state_{};
  size_t index_ = 624;
};

/// The harness's default seed for few-shot examples; one generator serves a task's items in order.
inline constexpr uint32_t kExampleSeed = 1234;

}  // namespace crossover::evals
