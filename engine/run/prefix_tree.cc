#include "engine/run/prefix_tree.h"

#include <algorithm>
#include <cassert>

// What is asserted here are rules between KvCache and this class; nothing that a file holds is in
// them.
namespace crossover::engine {

bool PrefixTree::Node::Less::operator()(std::span<const TokenId> a,
                                        std::span<const TokenId> b) const {
  return std::ranges::lexicographical_compare(a, b);
}

std::pair<PrefixTree::Node*, size_t> PrefixTree::Nearest(Node* node,
                                                         std::span<const TokenId> tokens) {
  std::pair<Node*, size_t> best{nullptr, 0};
  const auto consider = [&](const auto& child) {
    const auto& key = child.first;
    const auto common = static_cast<size_t>(std::ranges::mismatch(key, tokens).in1 - key.begin());
    if (common > best.second) best = {child.second, common};
  };
  // Of texts in order, the neighbours of a new one's place have most in common with it.
  const auto next = node->children.lower_bound(tokens);
  if (next != node->children.end()) consider(*next);
  if (next != node->children.begin()) consider(*std::prev(next));
  return best;
}

PrefixTree::Match PrefixTree::Find(std::span<const TokenId> tokens) {
  Match match;
  match.last = &root_;
  while (true) {
    const auto rest = tokens.subspan(match.length);
    const auto [node, common] =
        Nearest(match.last, rest.first(std::min(rest.size(), page_tokens_)));
    if (node == nullptr) return match;
    match.pages.push_back(node->page);
    match.length += common;
    if (common < page_tokens_) return match;
    match.last = node;
  }
}

PrefixTree::Node* PrefixTree::Insert(Node* parent, std::span<const TokenId> tokens, PageId page) {
  assert(!tokens.empty() && tokens.size() <= page_tokens_);
  const auto [near, common] = Nearest(parent, tokens);
  if (common == tokens.size()) return near;
  assert(!Holds(page));
  if (page >= nodes_.size()) nodes_.resize(page + 1);
  auto node = std::make_unique<Node>();
  node->parent = parent;
  node->page = page;
  node->place =
      parent->children.emplace(std::vector<TokenId>(tokens.begin(), tokens.end()), node.get())
          .first;
  assert(parent->idle_since == kBusy);
  nodes_[page] = std::move(node);
  return nodes_[page].get();
}

void PrefixTree::SetBusy(PageId page) {
  Node* node = nodes_[page].get();
  assert(node->idle_since != kBusy);
  idle_leaves_.erase({node->idle_since, node});
  node->idle_since = kBusy;
  --idle_pages_;
}

void PrefixTree::SetIdle(PageId page) {
  Node* node = nodes_[page].get();
  assert(node->idle_since == kBusy);
  node->idle_since = clock_++;
  if (node->children.empty()) idle_leaves_.insert({node->idle_since, node});
  ++idle_pages_;
}

std::optional<PageId> PrefixTree::Evict() {
  if (idle_leaves_.empty()) return std::nullopt;
  Node* node = idle_leaves_.begin()->second;
  const PageId page = node->page;
  SetBusy(page);
  Erase(node);
  return page;
}

void PrefixTree::Remove(PageId page) { Erase(nodes_[page].get()); }

void PrefixTree::Erase(Node* node) {
  assert(node->children.empty() && node->idle_since == kBusy);
  Node* parent = node->parent;
  parent->children.erase(node->place);
  if (parent->children.empty() && parent->idle_since != kBusy) {
    idle_leaves_.insert({parent->idle_since, parent});
  }
  nodes_[node->page].reset();
}

}  // namespace crossover::engine
