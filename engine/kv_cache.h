// The paged KV cache: one pool of fixed-size pages, a block table for each sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/attention.h"

namespace crossover::engine {

using SequenceId = uint32_t;

class KvCache {
 public:
  /// Room for `capacity_tokens`, rounded up to pages; Error(kOutOfMemory) with the size asked for.
  KvCache(const kernels::KvLayout& layout, size_t capacity_tokens);

  SequenceId Create();
  void Free(SequenceId sequence);
  /// Makes room for `tokens` more; false, and nothing changed, if the pool has too few pages left.
  [[nodiscard]] bool Grow(SequenceId sequence, size_t tokens);
  /// Drops everything from position `length` on.
  void Truncate(SequenceId sequence, size_t length);

  size_t length(SequenceId sequence) const;
  std::span<const uint32_t> block_table(SequenceId sequence) const;
  const kernels::KvLayout& layout() const { return layout_; }
  std::byte* pool() { return pool_.get(); }
  size_t pages() const { return pages_; }
  size_t free_pages() const { return free_.size(); }
  size_t bytes_in_use() const { return (pages_ - free_.size()) * layout_.page_bytes(); }

 private:
  struct Sequence {
    std::vector<uint32_t> blocks;
    size_t length = 0;
    bool alive = false;
  };
  struct Unmap {
    Unmap() : bytes(0) {}
    explicit Unmap(size_t n) : bytes(n) {}
    size_t bytes;
    void operator()(std::byte* p) const;
  };
  Sequence& At(SequenceId sequence);
  const Sequence& At(SequenceId sequence) const;

  kernels::KvLayout layout_;
  size_t pages_;
  std::unique_ptr<std::byte, Unmap> pool_;
  std::vector<uint32_t> free_;
  std::vector<Sequence> sequences_;
  std::vector<SequenceId> free_sequences_;
};

}  // namespace crossover::engine
