#include "engine/kv_cache.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <limits>
#include <utility>

#include "base/error.h"

namespace crossover::engine {
namespace {

size_t PagesFor(size_t tokens, size_t page_tokens) {
  return tokens / page_tokens + (tokens % page_tokens != 0);
}

}  // namespace

void KvCache::Unmap::operator()(std::byte* p) const { munmap(p, bytes); }

KvCache::KvCache(const kernels::KvLayout& layout, size_t capacity_tokens)
    : layout_(layout), pages_(PagesFor(capacity_tokens, layout.page_tokens)) {
  const size_t page_bytes = layout.page_bytes();
  // Ids are 32 bits; mapped memory costs nothing until a page is first written.
  void* memory = MAP_FAILED;
  const bool countable = pages_ > 0 && pages_ < std::numeric_limits<uint32_t>::max() &&
                         page_bytes <= std::numeric_limits<ptrdiff_t>::max() / pages_;
  if (countable) {
    memory = mmap(nullptr, pages_ * page_bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  if (memory == MAP_FAILED) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("no memory for a KV cache of {} tokens ({} pages of {} bytes); ask for "
                            "a shorter context or a smaller --kv-type",
                            capacity_tokens, pages_, page_bytes));
  }
  pool_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(memory),
                                            Unmap(pages_ * page_bytes));
  free_.reserve(pages_);
  for (size_t i = pages_; i-- > 0;) free_.push_back(static_cast<uint32_t>(i));
}

KvCache::Sequence& KvCache::At(SequenceId sequence) {
  return const_cast<Sequence&>(std::as_const(*this).At(sequence));
}

const KvCache::Sequence& KvCache::At(SequenceId sequence) const {
  if (sequence >= sequences_.size() || !sequences_[sequence].alive) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("no sequence {}", sequence));
  }
  return sequences_[sequence];
}

SequenceId KvCache::Create() {
  SequenceId id;
  if (free_sequences_.empty()) {
    id = static_cast<SequenceId>(sequences_.size());
    sequences_.emplace_back();
  } else {
    id = free_sequences_.back();
    free_sequences_.pop_back();
  }
  sequences_[id].alive = true;
  return id;
}

void KvCache::Free(SequenceId sequence) {
  Truncate(sequence, 0);
  At(sequence).alive = false;
  free_sequences_.push_back(sequence);
}

bool KvCache::Grow(SequenceId sequence, size_t tokens) {
  Sequence& s = At(sequence);
  const size_t needed = PagesFor(s.length + tokens, layout_.page_tokens) - s.blocks.size();
  if (needed > free_.size()) return false;
  for (size_t i = 0; i < needed; ++i) {
    s.blocks.push_back(free_.back());
    free_.pop_back();
  }
  s.length += tokens;
  return true;
}

void KvCache::Truncate(SequenceId sequence, size_t length) {
  Sequence& s = At(sequence);
  if (length >= s.length) return;
  const size_t keep = PagesFor(length, layout_.page_tokens);
  while (s.blocks.size() > keep) {
    free_.push_back(s.blocks.back());
    s.blocks.pop_back();
  }
  s.length = length;
}

size_t KvCache::length(SequenceId sequence) const { return At(sequence).length; }

std::span<const uint32_t> KvCache::block_table(SequenceId sequence) const {
  return At(sequence).blocks;
}

}  // namespace crossover::engine
