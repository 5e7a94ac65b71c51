#include "engine/run/page_pool.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/error.h"

namespace crossover::engine {

PagePool::PagePool(const kernels::KvLayout& layout, size_t capacity_tokens)
    : layout_(layout),
      pages_(capacity_tokens / layout.page_tokens + (capacity_tokens % layout.page_tokens != 0)) {
  const size_t page_bytes = layout.page_bytes();
  const bool countable = pages_ > 0 && pages_ < std::numeric_limits<PageId>::max() &&
                         page_bytes <= std::numeric_limits<ptrdiff_t>::max() / pages_;
  if (countable) memory_ = kernels::ReserveBytes(pages_ * page_bytes);
  if (memory_ == nullptr) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("no memory for a KV cache of {} tokens ({} pages of {} bytes); ask for "
                            "a shorter context or a smaller --kv-type",
                            capacity_tokens, pages_, page_bytes));
  }
}

std::optional<PageId> PagePool::Take() {
  if (!returned_.empty()) {
    const PageId page = returned_.back();
    returned_.pop_back();
    return page;
  }
  if (touched_ == pages_) return std::nullopt;
  return static_cast<PageId>(touched_++);
}

void PagePool::CopySlots(PageId from, PageId to, size_t slots) {
  const std::byte* source = memory() + from * layout_.page_bytes();
  std::byte* target = memory() + to * layout_.page_bytes();
  const size_t head_bytes = layout_.page_tokens * layout_.row_bytes();
  const size_t bytes = slots * layout_.row_bytes();
  for (size_t at = 0; at < layout_.page_bytes(); at += head_bytes) {
    std::memcpy(target + at, source + at, bytes);
  }
}

}  // namespace crossover::engine
