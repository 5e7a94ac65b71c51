// Memory of KV pages, and which of them are free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/attention.h"
#include "kernels/huge_pages.h"

namespace crossover::engine {

using PageId = uint32_t;

class PagePool {
 public:
  /// Room for `capacity_tokens`, rounded up to pages; Error(kOutOfMemory) with the size asked for.
  PagePool(const kernels::KvLayout& layout, size_t capacity_tokens);

  /// A free page, if there is one: the last given back, which caches may still hold, before those
  /// never used, for memory costs nothing until it is first touched.
  std::optional<PageId> Take();
  void GiveBack(PageId page) { returned_.push_back(page); }
  /// Copies the first `slots` tokens of a page.
  void CopySlots(PageId from, PageId to, size_t slots);

  const kernels::KvLayout& layout() const { return layout_; }
  std::byte* memory() { return memory_.get(); }
  size_t pages() const { return pages_; }
  size_t free_pages() const { return returned_.size() + pages_ - touched_; }
  /// Pages that were taken at least once: ids below this.
  size_t touched_pages() const { return touched_; }

 private:
  kernels::KvLayout layout_;
  size_t pages_;
  size_t touched_ = 0;
  kernels::ReservedBytes memory_;
  std::vector<PageId> returned_;
};

}  // namespace crossover::engine
