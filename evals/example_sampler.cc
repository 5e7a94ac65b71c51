#include "evals/example_sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>

namespace crossover::evals {

PythonRandom::PythonRandom(uint32_t seed) {
  constexpr size_t n = 624;
  state_[0] = 19650218U;
  for (uint32_t i = 1; i < n; ++i) {
    state_[i] = 1812433253U * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  }
  const auto mixed = [&](size_t i, uint32_t factor) {
    return state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * factor);
  };
  size_t i = 1;
  const auto advance = [&] {
    if (++i < n) return;
    state_[0] = state_[n - 1];
    i = 1;
  };
  for (size_t k = 0; k < n; ++k) {
    state_[i] = mixed(i, 1664525U) + seed;
    advance();
  }
  for (size_t k = 0; k < n - 1; ++k) {
    state_[i] = mixed(i, 1566083941U) - static_cast<uint32_t>(i);
    advance();
  }
  state_[0] = 0x80000000U;
}

uint32_t PythonRandom::Next() {
  constexpr size_t n = 624;
  constexpr size_t m = 397;
  if (index_ == n) {
    for (size_t i = 0; i < n; ++i) {
      const uint32_t y = (state_[i] & 0x80000000U) | (state_[(i + 1) % n] & 0x7fffffffU);
      state_[i] = state_[(i + m) % n] ^ (y >> 1) ^ ((y & 1U) != 0 ? 0x9908b0dfU : 0U);
    }
    index_ = 0;
  }
  uint32_t y = state_[index_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680U;
  y ^= (y << 15) & 0xefc60000U;
  return y ^ (y >> 18);
}

size_t PythonRandom::Below(size_t n) {
  const int bits = std::bit_width(n);
  size_t value = n;
  while (value >= n) value = Next() >> (32 - bits);
  return value;
}

std::vector<size_t> PythonRandom::Sample(size_t n, size_t k) {
  // CPython draws from a shrinking list where that is smaller than a set of k would be; the two
  // ways use the generator differently, so the rule is part of the result.
  double set_size = 21;
  if (k > 5) set_size += std::pow(4, std::ceil(std::log(3 * k) / std::log(4)));
  std::vector<size_t> chosen;
  if (static_cast<double>(n) <= set_size) {
    std::vector<size_t> pool(n);
    std::iota(pool.begin(), pool.end(), size_t{0});
    for (size_t i = 0; i < k; ++i) {
      const size_t j = Below(n - i);
      chosen.push_back(pool[j]);
      pool[j] = pool[n - i - 1];
    }
    return chosen;
  }
  std::unordered_set<size_t> seen;
  while (chosen.size() < k) {
    const size_t j = Below(n);
    if (seen.insert(j).second) chosen.push_back(j);
  }
  return chosen;
}

}  // namespace crossover::evals
