#include "serve/batch/score_memo.h"

#include <algorithm>
#include <iterator>

namespace crossover::serve {

bool ScoreMemo::Less::Before(const View& a, const View& b) {
  if (a.top != b.top) return a.top < b.top;
  return std::ranges::lexicographical_compare(a.tokens, b.tokens);
}

size_t ScoreMemo::Recall(std::span<const TokenId> tokens, size_t top,
                         std::vector<TokenScore>& scores) {
  Texts::iterator best = texts_.end();
  size_t length = 0;
  const auto consider = [&](Texts::iterator it) {
    if (it->first.first != top) return;
    const auto& known = it->first.second;
    const auto common =
        static_cast<size_t>(std::ranges::mismatch(known, tokens).in1 - known.begin());
    if (common > length) {
      best = it;
      length = common;
    }
  };
  const auto next = texts_.lower_bound(View{top, tokens});
  if (next != texts_.end()) consider(next);
  if (next != texts_.begin()) consider(std::prev(next));
  if (best == texts_.end()) return 0;
  uses_.splice(uses_.begin(), uses_, best->second.use);
  const auto& known = best->second.scores;
  scores.insert(scores.end(), known.begin(), known.begin() + static_cast<ptrdiff_t>(length - 1));
  return length;
}

void ScoreMemo::Keep(std::vector<TokenId> tokens, size_t top, std::vector<TokenScore> scores) {
  const size_t size = tokens.size();
  if (size > max_tokens_) return;
  const auto [it, is_new] = texts_.try_emplace({top, std::move(tokens)});
  if (!is_new) return;
  it->second.scores = std::move(scores);
  uses_.push_front(it);
  it->second.use = uses_.begin();
  held_ += size;
  while (held_ > max_tokens_) {
    const auto oldest = uses_.back();
    held_ -= oldest->first.second.size();
    texts_.erase(oldest);
    uses_.pop_back();
  }
}

}  // namespace crossover::serve
