#include "engine/run/kv_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/error.h"

namespace crossover::engine {

KvCache::KvCache(const kernels::KvLayout& layout, size_t capacity_tokens)
    : pool_(layout, capacity_tokens), tree_(layout.page_tokens) {}

KvCache::Sequence& KvCache::At(SequenceId sequence) {
  return const_cast<Sequence&>(std::as_const(*this).At(sequence));
}

const KvCache::Sequence& KvCache::At(SequenceId sequence) const {
  if (sequence >= sequences_.size() || !sequences_[sequence].alive) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("no sequence {}", sequence));
  }
  return sequences_[sequence];
}

size_t KvCache::PagesFor(size_t tokens) const {
  const size_t page_tokens = layout().page_tokens;
  return tokens / page_tokens + (tokens % page_tokens != 0);
}

SequenceId KvCache::NewSequence(bool shared) {
  SequenceId id;
  if (free_sequences_.empty()) {
    id = static_cast<SequenceId>(sequences_.size());
    sequences_.emplace_back();
  } else {
    id = free_sequences_.back();
    free_sequences_.pop_back();
  }
  sequences_[id] = {};
  sequences_[id].alive = true;
  sequences_[id].shared = shared;
  sequences_[id].last = tree_.root();
  return id;
}

SequenceId KvCache::Create() { return NewSequence(false); }

SequenceId KvCache::CreateShared(std::span<const TokenId> tokens) {
  const SequenceId id = NewSequence(true);
  Sequence& s = sequences_[id];
  PrefixTree::Match match = tree_.Find(tokens);
  for (const PageId page : match.pages) Use(page);
  s.blocks = std::move(match.pages);
  s.length = match.length;
  s.tokens.assign(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(s.length));
  s.published = s.length / layout().page_tokens;
  s.last = match.last;
  return id;
}

SequenceId KvCache::Fork(SequenceId sequence, size_t length) {
  if (length > At(sequence).length) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("sequence {} has {} tokens: it cannot be forked after {}", sequence,
                            At(sequence).length, length));
  }
  // The tree counts on both to use the same pages of it.
  Publish(sequence);
  const SequenceId id = NewSequence(At(sequence).shared);
  sequences_[id] = sequences_[sequence];
  for (const PageId page : sequences_[id].blocks) Use(page);
  Truncate(id, length);
  return id;
}

void KvCache::Free(SequenceId sequence) {
  Publish(sequence);
  Sequence& s = At(sequence);
  const size_t begin = s.published * layout().page_tokens;
  // A fork that ended earlier may have left the same page under fewer tokens.
  if (s.shared && begin < s.length && !tree_.Holds(s.blocks.back())) {
    tree_.Insert(s.last, std::span(s.tokens).subspan(begin), s.blocks.back());
  }
  Truncate(sequence, 0);
  s.alive = false;
  free_sequences_.push_back(sequence);
}

bool KvCache::WritesTail(const Sequence& s, size_t tokens) const {
  return tokens > 0 && s.length % layout().page_tokens != 0;
}

// Of n sequences that use a page and m that write into it, min(m, n - 1) need a copy: a page that
// is otherwise the tree's alone can be taken out of it.
size_t KvCache::Count(std::span<const Extension> batch) const {
  size_t count = 0;
  std::vector<PageId> tails;
  for (const auto& [sequence, tokens] : batch) {
    const Sequence& s = At(sequence);
    count += PagesFor(s.length + tokens.size()) - s.blocks.size();
    if (WritesTail(s, tokens.size())) tails.push_back(s.blocks.back());
  }
  std::ranges::sort(tails);
  for (auto it = tails.begin(); it != tails.end();) {
    const auto end = std::upper_bound(it, tails.end(), *it);
    count += std::min<size_t>(static_cast<size_t>(end - it), users_[*it] - 1);
    it = end;
  }
  return count;
}

bool KvCache::Append(std::span<const Extension> batch) {
  const size_t needed = Count(batch);
  if (needed > available_pages()) return false;
  size_t spare = available_pages() - needed;
  std::vector<PageId> of_tree;
  for (const auto& [sequence, tokens] : batch) {
    Sequence& s = At(sequence);
    if (WritesTail(s, tokens.size())) {
      const PageId tail = s.blocks.back();
      if (users_[tail] > 1) {
        CopyTail(s);
      } else if (tree_.Holds(tail) && spare > 0) {
        --spare;
        CopyTail(s);
      } else if (tree_.Holds(tail)) {
        of_tree.push_back(tail);
      }
    }
    const size_t pages = PagesFor(s.length + tokens.size());
    while (s.blocks.size() < pages) s.blocks.push_back(TakePage());
    s.length += tokens.size();
    if (s.shared) s.tokens.insert(s.tokens.end(), tokens.begin(), tokens.end());
  }
  // Nothing was to spare, so all below these, which no sequence used, are evicted by now.
  for (const PageId page : of_tree) tree_.Remove(page);
  return true;
}

void KvCache::CopyTail(Sequence& s) {
  const PageId page = TakePage();
  pool_.CopySlots(s.blocks.back(), page, s.length % layout().page_tokens);
  Release(s.blocks.back());
  s.blocks.back() = page;
}

void KvCache::Publish(SequenceId sequence) {
  Sequence& s = At(sequence);
  const size_t page_tokens = layout().page_tokens;
  for (; s.shared && s.published < s.length / page_tokens; ++s.published) {
    PageId& page = s.blocks[s.published];
    const auto tokens = std::span(s.tokens).subspan(s.published * page_tokens, page_tokens);
    s.last = tree_.Insert(s.last, tokens, page);
    if (s.last->page == page) continue;
    Use(s.last->page);
    Release(page);
    page = s.last->page;
  }
}

void KvCache::Truncate(SequenceId sequence, size_t length) {
  Sequence& s = At(sequence);
  if (length >= s.length) return;
  const size_t keep = PagesFor(length);
  while (s.blocks.size() > keep) {
    Release(s.blocks.back());
    s.blocks.pop_back();
  }
  s.length = length;
  if (!s.shared) return;
  s.tokens.resize(length);
  for (; s.published > length / layout().page_tokens; --s.published) s.last = s.last->parent;
}

void KvCache::DropCached() {
  while (const auto page = tree_.Evict()) pool_.GiveBack(*page);
}

PageId KvCache::TakePage() {
  auto page = pool_.Take();
  if (!page) page = tree_.Evict();
  assert(page.has_value());  // Append has counted them
  if (users_.size() < pool_.touched_pages()) users_.resize(pool_.touched_pages());
  users_[*page] = 1;
  return *page;
}

void KvCache::Use(PageId page) {
  if (users_[page]++ == 0) tree_.SetBusy(page);
  if (users_[page] == 2) ++shared_pages_;
}

void KvCache::Release(PageId page) {
  if (users_[page] == 2) --shared_pages_;
  if (--users_[page] != 0) return;
  if (tree_.Holds(page)) {
    tree_.SetIdle(page);
  } else {
    pool_.GiveBack(page);
  }
}

KvUsage KvCache::usage() const {
  KvUsage usage;
  usage.cached = tree_.idle_pages();
  usage.free = pool_.free_pages();
  usage.in_use = pages() - usage.cached - usage.free;
  usage.shared = shared_pages_;
  return usage;
}

size_t KvCache::length(SequenceId sequence) const { return At(sequence).length; }

std::span<const PageId> KvCache::block_table(SequenceId sequence) const {
  return At(sequence).blocks;
}

}  // namespace crossover::engine
