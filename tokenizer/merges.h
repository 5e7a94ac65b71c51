// Byte-pair merging over symbol ids: the loop that byte-level BPE (rank = place in the list of
// merges) and SentencePiece BPE (rank = place of the score) share. Sennrich et al. 2016,
// arXiv:1508.07909.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer/hash_text.h"

namespace crossover::tokenizer {

/// (left, right) → the symbol they become and how early that happens; lower ranks first.
class MergeTable {
 public:
  static constexpr uint32_t kNever = UINT32_MAX;
  struct Merge {
    uint32_t rank = kNever;
    uint32_t result = 0;
  };

  /// For at most `count` pairs.
  explicit MergeTable(size_t count = 0, HashKey key = HashKey::OfProcess());

  /// The first entry for a pair stays; rank < kNever.
  void Insert(uint32_t left, uint32_t right, Merge merge);
  /// rank == kNever if the two never merge.
  Merge Find(uint32_t left, uint32_t right) const;
  /// Slots that Find looks at.
  size_t Steps(uint32_t left, uint32_t right) const;

 private:
  struct Slot {
    uint64_t pair = 0;
    Merge merge;
  };
  size_t Home(uint64_t pair) const {
    return MixWord(pair ^ key_.begin, key_) & (slots_.size() - 1);
  }
  const Slot& Probe(uint64_t pair) const;

  std::vector<Slot> slots_;  // a power of two of them
  HashKey key_;
};

/// Merges the adjacent pair of lowest rank, the leftmost among equals, until none is left. Holds
/// scratch memory, so one object serves one thread.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}

  /// Rewrites `symbols`. O(n²) with a small constant for short input, O(n log n) beyond.
  void Run(std::vector<uint32_t>& symbols);

 private:
  using Merge = MergeTable::Merge;
  struct Node {
    uint32_t previous, next;
    Merge merge;  // with the next node
  };
  struct Candidate {
    uint32_t rank, position;
  };

  void RunShort(std::vector<uint32_t>& symbols);
  void RunLong(std::vector<uint32_t>& symbols);
  void Consider(const std::vector<uint32_t>& symbols, uint32_t position);

  const MergeTable& table_;
  std::vector<Merge> pairs_;
  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
};

}  // namespace crossover::tokenizer
