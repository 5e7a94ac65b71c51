#include "tokenizer/hash_text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tokenizer/merges.h"
#include "tokenizer/token_map.h"
#include "tokenizer/word_cache.h"

namespace crossover::tokenizer {
namespace {

// A table that is at most half or two thirds full has runs of a few dozen slots; one that was aimed
// at has a run of all its keys.
constexpr size_t kKeys = 20'000;
constexpr size_t kLongRun = 1'000;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;

uint64_t Inverse(uint64_t odd) {
  uint64_t x = odd;
  for (int i = 0; i < 6; ++i) x *= 2 - odd * x;  // Newton: bits double each time
  return x;
}

std::string Bytes(uint64_t word) {
  return std::string(reinterpret_cast<const char*>(&word), sizeof word);
}

size_t LongestRun(const std::vector<std::string>& texts, HashKey key) {
  TokenMap map(texts.size(), key);
  size_t longest = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    REQUIRE(map.Insert(texts[i], static_cast<uint32_t>(i)));
    longest = std::max(longest, map.Steps(texts[i]));
  }
  for (size_t i = 0; i < texts.size(); i += 997) CHECK(map.Find(texts[i]) == i);
  return longest;
}

// Of one slot under the hash that tables had before they had a key.
std::vector<std::string> AimedAtFixedHash() {
  std::vector<std::string> texts;
  for (uint64_t i = 1; i <= kKeys; ++i) {
    const uint64_t hash = i << 24;
    texts.push_back(Bytes((hash ^ hash >> 32) * Inverse(kGolden) ^ 8 * kGolden));
  }
  return texts;
}

// Pairs of words whose differences cancel in (h ^ w) * constant ^ (… >> 32), whatever h begins
// with: a seed alone does not help.
std::vector<std::string> AimedAtDifferences() {
  std::vector<std::string> texts;
  constexpr uint64_t kTop = uint64_t{1} << 63;
  for (uint64_t i = 0; i < kKeys; ++i) {
    std::string text;
    for (int bit = 0; bit < 15; ++bit) {
      const bool turned = (i >> bit & 1) != 0;
      text += Bytes(turned ? kTop : 0) + Bytes(turned ? kTop ^ uint64_t{1} << 31 : 0);
    }
    texts.push_back(text);
  }
  return texts;
}

TEST_CASE("a vocabulary cannot aim at one slot") {
  for (const auto& texts : {AimedAtFixedHash(), AimedAtDifferences()}) {
    CHECK(LongestRun(texts, HashKey::OfProcess()) < kLongRun);
    CHECK(LongestRun(texts, {0x123456789abcdef0, 0xfedcba9876543211}) < kLongRun);
  }
}

TEST_CASE("nor can merges") {
  MergeTable table(kKeys);
  size_t longest = 0;
  for (uint64_t i = 1; i <= kKeys; ++i) {
    const uint64_t mixed = i * Inverse(kGolden);
    const uint64_t pair = mixed ^ mixed >> 29 ^ mixed >> 58;
    const auto left = static_cast<uint32_t>(pair >> 32);
    const auto right = static_cast<uint32_t>(pair);
    table.Insert(left, right, {static_cast<uint32_t>(i), 7});
    CHECK(table.Find(left, right).rank == i);
    longest = std::max(longest, table.Steps(left, right));
  }
  CHECK(longest < kLongRun);
}

TEST_CASE("the process's key is drawn, odd, and stays") {
  const HashKey key = HashKey::OfProcess();
  CHECK(key.factor % 2 == 1);
  CHECK(key.begin != 0);
  CHECK(key.begin == HashKey::OfProcess().begin);
  CHECK(key.factor == HashKey::OfProcess().factor);
}

TEST_CASE("texts of all lengths are told apart") {
  const HashKey key{3, 0x9E3779B97F4A7C15};
  std::vector<uint64_t> hashes;
  for (size_t length = 0; length < 40; ++length) {
    hashes.push_back(HashText(std::string(length, 'a'), key));
    hashes.push_back(HashText(std::string(length, 'a') + "b", key));
  }
  std::sort(hashes.begin(), hashes.end());
  CHECK(std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end());
}

}  // namespace
}  // namespace crossover::tokenizer
