#include "tokenizer/merges.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace crossover::tokenizer {
namespace {

// Where the heap overtakes the linear scan; words of natural text are far below.
constexpr size_t kShortSymbols = 48;
constexpr uint32_t kEnd = UINT32_MAX;

// For std::*_heap, which keep the largest in front.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
};

uint64_t PairOf(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

}  // namespace

MergeTable::MergeTable(size_t count, HashKey key)
    : slots_(std::bit_ceil(count + count / 2 + 2)), key_(key) {}

const MergeTable::Slot& MergeTable::Probe(uint64_t pair) const {
  const size_t mask = slots_.size() - 1;
  size_t index = Home(pair);
  while (slots_[index].merge.rank != kNever && slots_[index].pair != pair) {
    index = (index + 1) & mask;
  }
  return slots_[index];
}

void MergeTable::Insert(uint32_t left, uint32_t right, Merge merge) {
  Slot& slot = const_cast<Slot&>(Probe(PairOf(left, right)));
  if (slot.merge.rank == kNever) slot = {PairOf(left, right), merge};
}

MergeTable::Merge MergeTable::Find(uint32_t left, uint32_t right) const {
  return Probe(PairOf(left, right)).merge;
}

size_t MergeTable::Steps(uint32_t left, uint32_t right) const {
  const uint64_t pair = PairOf(left, right);
  const auto at = static_cast<size_t>(&Probe(pair) - slots_.data());
  return 1 + ((at - Home(pair)) & (slots_.size() - 1));
}

void Merger::Run(std::vector<uint32_t>& symbols) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShortSymbols) {
    RunShort(symbols);
  } else {
    RunLong(symbols);
  }
}

void Merger::RunShort(std::vector<uint32_t>& symbols) {
  size_t count = symbols.size();
  pairs_.resize(count);  // pairs_[i]: symbols i and i + 1
  for (size_t i = 0; i + 1 < count; ++i) pairs_[i] = table_.Find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (pairs_[i].rank < pairs_[best].rank) best = i;
    }
    if (pairs_[best].rank == MergeTable::kNever) break;
    symbols[best] = pairs_[best].result;
    std::copy(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    std::copy(pairs_.begin() + best + 1, pairs_.begin() + count - 1, pairs_.begin() + best);
    --count;
    if (best + 1 < count) pairs_[best] = table_.Find(symbols[best], symbols[best + 1]);
    if (best > 0) pairs_[best - 1] = table_.Find(symbols[best - 1], symbols[best]);
  }
  symbols.resize(count);
}

void Merger::Consider(const std::vector<uint32_t>& symbols, uint32_t position) {
  Node& node = nodes_[position];
  node.merge = node.next == kEnd ? Merge{} : table_.Find(symbols[position], symbols[node.next]);
  if (node.merge.rank == MergeTable::kNever) return;
  heap_.push_back({node.merge.rank, position});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
}

// Candidates stay in the heap when a neighbour's merge makes them stale; a candidate counts only if
// its rank is still that of the pair at its position.
void Merger::RunLong(std::vector<uint32_t>& symbols) {
  if (symbols.size() >= kEnd) {
    throw Error(ErrorCode::kInvalidArgument,
                "one word of 4 Gi symbols or more cannot be tokenized; split the text");
  }
  const auto count = static_cast<uint32_t>(symbols.size());
  nodes_.resize(count);
  heap_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    nodes_[i] = {i == 0 ? kEnd : i - 1, i + 1 == count ? kEnd : i + 1, {}};
    if (i + 1 == count) break;
    nodes_[i].merge = table_.Find(symbols[i], symbols[i + 1]);
    if (nodes_[i].merge.rank != MergeTable::kNever) heap_.push_back({nodes_[i].merge.rank, i});
  }
  std::make_heap(heap_.begin(), heap_.end(), kLater);

  while (!heap_.empty()) {
    const Candidate best = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    heap_.pop_back();
    Node& left = nodes_[best.position];
    if (left.merge.rank != best.rank) continue;
    const uint32_t right = left.next;
    symbols[best.position] = left.merge.result;
    left.next = nodes_[right].next;
    if (left.next != kEnd) nodes_[left.next].previous = best.position;
    nodes_[right].merge = {};
    Consider(symbols, best.position);
    if (left.previous != kEnd) Consider(symbols, left.previous);
  }

  size_t kept = 0;
  for (uint32_t i = 0; i != kEnd; i = nodes_[i].next) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

}  // namespace crossover::tokenizer
