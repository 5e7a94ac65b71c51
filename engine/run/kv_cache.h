// The paged KV cache: sequences are block tables over one pool of pages. Pages are counted, and
// shared where texts begin alike: by Fork, and by a tree of what was written so far. A page that
// others see too is never written: it is copied first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/run/page_pool.h"
#include "engine/run/prefix_tree.h"
#include "kernels/attention.h"

namespace crossover::engine {

using SequenceId = uint32_t;

/// Pages by what becomes of them; in_use + cached + free are all there are.
struct KvUsage {
  size_t in_use = 0;  // of sequences, each counted once
  size_t shared = 0;  // of these: of two sequences or more
  size_t cached = 0;  // of no sequence any more, but of the tree: taken when nothing is free
  size_t free = 0;
};

class KvCache {
 public:
  /// Room for `capacity_tokens`, rounded up to pages; Error(kOutOfMemory) with the size asked for.
  KvCache(const kernels::KvLayout& layout, size_t capacity_tokens);

  /// An empty sequence that shares nothing but with its forks.
  SequenceId Create();
  /// A sequence whose pages, as they fill, others may begin with; it begins itself with the longest
  /// part of `tokens` that is cached (see length()).
  SequenceId CreateShared(std::span<const TokenId> tokens);
  /// What CreateShared would begin with.
  size_t CachedLength(std::span<const TokenId> tokens) { return tree_.Find(tokens).length; }
  /// A second sequence of the same first `length` tokens, which are written by now; shared if the
  /// first one is. Error(kInvalidArgument) if it is shorter.
  SequenceId Fork(SequenceId sequence, size_t length);
  /// What a shared sequence holds stays cached until the room is needed. Precondition: as Publish.
  void Free(SequenceId sequence);

  struct Extension {
    SequenceId sequence;  // at most once in a batch
    std::span<const TokenId> tokens;
  };
  /// Makes room for all of them, or changes nothing and returns false, if there are too few pages.
  [[nodiscard]] bool Append(std::span<const Extension> batch);
  bool Fits(std::span<const Extension> batch) const { return Count(batch) <= available_pages(); }
  /// Lets others begin with the full pages of a shared sequence. Where another has written the same
  /// tokens before, its page takes the place of this one's, which becomes free. Precondition: K and
  /// V of all that was appended are written.
  void Publish(SequenceId sequence);
  /// Drops everything from position `length` on.
  void Truncate(SequenceId sequence, size_t length);
  /// Evicts all that no sequence uses.
  void DropCached();

  size_t length(SequenceId sequence) const;
  std::span<const PageId> block_table(SequenceId sequence) const;
  const kernels::KvLayout& layout() const { return pool_.layout(); }
  std::byte* pool() { return pool_.memory(); }
  size_t pages() const { return pool_.pages(); }
  /// Free or cached.
  size_t available_pages() const { return pool_.free_pages() + tree_.idle_pages(); }
  KvUsage usage() const;  // pages
  size_t bytes_in_use() const { return usage().in_use * layout().page_bytes(); }

 private:
  struct Sequence {
    std::vector<PageId> blocks;
    size_t length = 0;
    bool alive = false;
    bool shared = false;
    // Of shared ones.
    std::vector<TokenId> tokens;
    size_t published = 0;              // pages, in the tree
    PrefixTree::Node* last = nullptr;  // the last of these
  };
  Sequence& At(SequenceId sequence);
  const Sequence& At(SequenceId sequence) const;
  SequenceId NewSequence(bool shared);

  size_t PagesFor(size_t tokens) const;
  /// Whether appending writes into a page that is there, rather than into new ones only.
  bool WritesTail(const Sequence& s, size_t tokens) const;
  /// Pages that must be taken, at least.
  size_t Count(std::span<const Extension> batch) const;
  PageId TakePage();
  void Use(PageId page);
  void Release(PageId page);
  void CopyTail(Sequence& s);

  PagePool pool_;
  PrefixTree tree_;
  std::vector<uint32_t> users_;  // sequences that use a page, by page
  size_t shared_pages_ = 0;
  std::vector<Sequence> sequences_;
  std::vector<SequenceId> free_sequences_;
};

}  // namespace crossover::engine
