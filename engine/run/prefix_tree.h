// Which KV pages hold which beginnings of texts: a radix tree over token ids whose edges are pages.
// A node's page holds K and V of its tokens after those of all nodes above it. A node of fewer
// tokens than a page has slots is the end of a text; it has no children.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "engine/run/page_pool.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

using tokenizer::TokenId;

/// A page of it is busy while sequences use it, else idle and may be evicted. Precondition of all
/// that makes pages busy: a sequence that uses a page uses those of all nodes above it too, so that
/// no busy node hangs below an idle one.
class PrefixTree {
 public:
  struct Node {
    Node* parent = nullptr;  // null: the root
    PageId page = 0;

   private:
    friend class PrefixTree;
    struct Less {
      using is_transparent = void;
      bool operator()(std::span<const TokenId> a, std::span<const TokenId> b) const;
    };
    using Children = std::map<std::vector<TokenId>, Node*, Less>;
    Children children;
    Children::iterator place;  // in the parent's children
    uint64_t idle_since = kBusy;
  };

  explicit PrefixTree(size_t page_tokens) : page_tokens_(page_tokens) {}

  Node* root() { return &root_; }

  /// The longest beginning of `tokens` there is. The last page may match in part, or be the end of
  /// a text: its first slots hold then what is matched.
  struct Match {
    std::vector<PageId> pages;
    size_t length = 0;     // tokens
    Node* last = nullptr;  // of the last page that is full and matches whole; root: none
  };
  Match Find(std::span<const TokenId> tokens);

  /// Adds a busy page below `parent`, which is full; unless `tokens`, 1 to page_tokens, are there
  /// already or begin a page that is: then that one's node is returned, and `page` is not taken.
  Node* Insert(Node* parent, std::span<const TokenId> tokens, PageId page);

  bool Holds(PageId page) const { return page < nodes_.size() && nodes_[page] != nullptr; }
  void SetBusy(PageId page);
  void SetIdle(PageId page);
  size_t idle_pages() const { return idle_pages_; }

  /// Removes the leaf that has been idle for longest. None: all are busy.
  std::optional<PageId> Evict();
  /// Removes a busy leaf.
  void Remove(PageId page);

 private:
  static constexpr uint64_t kBusy = UINT64_MAX;

  void Erase(Node* node);
  /// The child that has most tokens in common with the front of `tokens`, and how many.
  std::pair<Node*, size_t> Nearest(Node* node, std::span<const TokenId> tokens);

  size_t page_tokens_;
  Node root_;
  std::vector<std::unique_ptr<Node>> nodes_;  // by page
  std::set<std::pair<uint64_t, Node*>> idle_leaves_;
  uint64_t clock_ = 0;
  size_t idle_pages_ = 0;
};

}  // namespace crossover::engine
