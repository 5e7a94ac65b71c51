// Scores of texts that were scored before. Clients that score the answers to one question send the
// question with each of them, and want the log-probabilities of all its tokens: the KV cache spares
// reading it again, and this the logits. A token's score depends on what stands before it alone, so
// what two texts begin with has the same scores in both.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "serve/batch/token_score.h"

namespace crossover::serve {

class ScoreMemo {
 public:
  /// Room for so many tokens; the texts that were used least lately give way.
  explicit ScoreMemo(size_t max_tokens) : max_tokens_(max_tokens) {}

  /// Of the longest beginning of `tokens` that is known with `top` alternatives: the scores of its
  /// tokens, without the first, which has none. Appended to `scores`; returns the beginning's
  /// length.
  size_t Recall(std::span<const TokenId> tokens, size_t top, std::vector<TokenScore>& scores);

  /// scores: of tokens[1 …].
  void Keep(std::vector<TokenId> tokens, size_t top, std::vector<TokenScore> scores);

  size_t held_tokens() const { return held_; }

 private:
  // Neighbours in this order have most in common.
  using Key = std::pair<size_t, std::vector<TokenId>>;  // top, tokens
  struct View {
    size_t top;
    std::span<const TokenId> tokens;
  };
  struct Less {
    using is_transparent = void;
    static View ViewOf(const Key& key) { return {key.first, key.second}; }
    static View ViewOf(const View& view) { return view; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return Before(ViewOf(a), ViewOf(b));
    }
    static bool Before(const View& a, const View& b);
  };
  struct Text;
  using Texts = std::map<Key, Text, Less>;
  struct Text {
    std::vector<TokenScore> scores;
    std::list<Texts::iterator>::iterator use;
  };

  Texts texts_;
  std::list<Texts::iterator> uses_;  // the latest first
  size_t max_tokens_;
  size_t held_ = 0;
};

}  // namespace crossover::serve
