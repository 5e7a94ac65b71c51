#include "tokenizer/merges.h"

#include <random>

#include "tests/support/test_support.h"

namespace crossover::tokenizer {
namespace {

// The definition: scan for the best pair, merge it, start over.
std::vector<uint32_t> MergeByDefinition(const MergeTable& table, std::vector<uint32_t> symbols) {
  while (true) {
    size_t best = symbols.size();
    MergeTable::Merge merge;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const MergeTable::Merge candidate = table.Find(symbols[i], symbols[i + 1]);
      if (candidate.rank < merge.rank) {
        merge = candidate;
        best = i;
      }
    }
    if (best == symbols.size()) return symbols;
    symbols[best] = merge.result;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST_CASE("merge table: the first entry stays, absent pairs never merge") {
  MergeTable table(2);
  table.Insert(1, 2, {5, 3});
  table.Insert(1, 2, {1, 9});
  table.Insert(2, 1, {0, 4});
  CHECK(table.Find(1, 2).rank == 5);
  CHECK(table.Find(1, 2).result == 3);
  CHECK(table.Find(2, 1).result == 4);
  CHECK(table.Find(1, 1).rank == MergeTable::kNever);
  CHECK(MergeTable().Find(0, 0).rank == MergeTable::kNever);
}

TEST_CASE("merging: lowest rank first, leftmost among equals") {
  MergeTable table(3);
  table.Insert(0, 0, {1, 10});
  table.Insert(0, 1, {0, 11});
  table.Insert(10, 11, {2, 12});
  Merger merger(table);
  std::vector<uint32_t> symbols = {0, 0, 0, 1};  // 0 0 (0 1) → (0 0) 11 → 12
  merger.Run(symbols);
  CHECK(symbols == std::vector<uint32_t>{12});
  symbols = {0, 0, 0};  // the left two
  merger.Run(symbols);
  CHECK(symbols == std::vector<uint32_t>{10, 0});
}

TEST_CASE("merging equals its definition for any table and length") {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    // Few symbols and ranks, so that ties, chains and stale candidates abound.
    const auto symbols_used = static_cast<uint32_t>(2 + random() % 5);
    const auto ranks = static_cast<uint32_t>(1 + random() % 12);
    MergeTable table(64);
    for (uint32_t result = symbols_used; result < symbols_used + 40; ++result) {
      const auto left = static_cast<uint32_t>(random() % result);
      const auto right = static_cast<uint32_t>(random() % result);
      table.Insert(left, right, {static_cast<uint32_t>(random() % ranks), result});
    }
    Merger merger(table);
    for (size_t length : {0, 1, 2, 3, 17, 47, 48, 49, 50, 120, 400}) {
      std::vector<uint32_t> symbols(length);
      for (uint32_t& symbol : symbols) symbol = static_cast<uint32_t>(random() % symbols_used);
      const std::vector<uint32_t> expected = MergeByDefinition(table, symbols);
      merger.Run(symbols);
      CHECK(symbols == expected);
    }
  }
}

}  // namespace
}  // namespace crossover::tokenizer
