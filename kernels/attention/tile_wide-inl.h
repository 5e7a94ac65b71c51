// The tile path where an item has many groups of rows (prompts): K and V of a chunk lie in tiles,
// and pairs of groups pass over them.
//
// The softmax is a vector unit's work and costs more than both products, so three pairs are on
// their way at a time: while the tile units compute the scores of one and the sums of another, the
// vector units take the exponentials of the third, a few after every four products.
#if defined(CROSSOVER_KERNELS_ATTENTION_TILE_WIDE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_ATTENTION_TILE_WIDE_INL_H_
#undef CROSSOVER_KERNELS_ATTENTION_TILE_WIDE_INL_H_
#else
#define CROSSOVER_KERNELS_ATTENTION_TILE_WIDE_INL_H_
#endif

#include "kernels/attention/tile_math-inl.h"

#ifdef CROSSOVER_TILES

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// A pair of groups on its way, and the positions of the chunk that it sees, in multiples of 32.
struct RowPair {
  RowGroup groups[2];
  size_t count = 0;  // of groups: 2, or 1 at an item's end
  size_t begin = 0;
  size_t end = 0;
  float* state = nullptr;
  bool fresh = false;  // the state: the sums go straight there

  size_t steps() const { return (end - begin) / kTileKeys; }
};

/// The exponentials of a pair, in portions.
class PairExponentials {
 public:
  /// `pair` may be null: nothing to do. `calls`: to Step that are to come.
  PairExponentials(RowPair* pair, size_t calls) : pair_(pair) {
    if (pair == nullptr) return;
    const size_t rows = pair->count * (pair->end - pair->begin);
    portion_ = RoundUpToPairs(rows, std::max<size_t>(calls, 1));
    Turn(0);
  }

  /// A portion. Not inline: the compiler must not move its stores beyond tile loads.
  CROSSOVER_TILES HWY_NOINLINE void Step() {
    if (pair_ == nullptr) return;
    RowGroup& group = pair_->groups[group_];
    const size_t to = std::min(at_ + portion_, pair_->end);
    __m512 sum[2] = {_mm512_load_ps(sums_[0]), _mm512_load_ps(sums_[1])};
    Exponentials(group, at_, to, _mm512_load_ps(group.max), sum);
    at_ = to;
    if (at_ < pair_->end) {
      _mm512_store_ps(sums_[0], sum[0]);
      _mm512_store_ps(sums_[1], sum[1]);
      return;
    }
    _mm512_store_ps(group.sum, _mm512_add_ps(sum[0], sum[1]));
    if (++group_ == pair_->count) {
      pair_ = nullptr;
    } else {
      Turn(group_);
    }
  }

  void Finish() {
    while (pair_ != nullptr) Step();
  }

 private:
  static size_t RoundUpToPairs(size_t rows, size_t portions) {
    return ((rows + portions - 1) / portions + 1) / 2 * 2;
  }
  void Turn(size_t group) {
    group_ = group;
    at_ = pair_->begin;
    std::fill_n(&sums_[0][0], 32, 0.0f);
  }

  RowPair* pair_;  // null: all done
  size_t portion_ = 0;
  size_t group_ = 0;
  size_t at_ = 0;
  alignas(64) float sums_[2][16];
};

/// Scores of 32 positions for one or two groups.
template <size_t kGroups>
CROSSOVER_TILES HWY_INLINE void TileScores(const ChunkTiles& chunk, size_t position,
                                           const RowGroup* groups, PairExponentials& beside) {
  const size_t units = chunk.dims / 32;
  const uint8_t* k = chunk.keys(position);
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kGroups == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (size_t u = 0; u < units; ++u) {
    _tile_loadd(4, k + u * kTileBytes, 64);
    _tile_loadd(6, groups[0].q + u * kTileBytes, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, k + (units + u) * kTileBytes, 64);
    _tile_dpbf16ps(1, 5, 6);
    if constexpr (kGroups == 2) {
      _tile_loadd(7, groups[1].q + u * kTileBytes, 64);
      _tile_dpbf16ps(2, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
    beside.Step();
  }
  _tile_stored(0, groups[0].s + position * 16, 64);
  _tile_stored(1, groups[0].s + (position + 16) * 16, 64);
  if constexpr (kGroups == 2) {
    _tile_stored(2, groups[1].s + position * 16, 64);
    _tile_stored(3, groups[1].s + (position + 16) * 16, 64);
  }
}

/// Σ p v of 32 dims over positions [begin, end) for one or two groups.
template <size_t kGroups>
CROSSOVER_TILES HWY_INLINE void TileSums(const ChunkTiles& chunk, size_t dim, size_t begin,
                                         size_t end, const RowGroup* groups,
                                         PairExponentials& beside) {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kGroups == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (size_t j = begin; j < end; j += kTileKeys) {
    const size_t p = j / kTileKeys * (kTileBytes / sizeof(float));
    _tile_loadd(4, chunk.values(dim, j), 64);
    _tile_loadd(6, groups[0].s + p, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, chunk.values(dim + 16, j), 64);
    _tile_dpbf16ps(1, 5, 6);
    if constexpr (kGroups == 2) {
      _tile_loadd(7, groups[1].s + p, 64);
      _tile_dpbf16ps(2, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
    beside.Step();
  }
  _tile_stored(0, groups[0].o + dim * 16, 64);
  _tile_stored(1, groups[0].o + (dim + 16) * 16, 64);
  if constexpr (kGroups == 2) {
    _tile_stored(2, groups[1].o + dim * 16, 64);
    _tile_stored(3, groups[1].o + (dim + 16) * 16, 64);
  }
}

template <size_t kGroups>
CROSSOVER_TILES void PairScores(const ChunkTiles& tiles, const RowPair& pair,
                                PairExponentials& beside) {
  for (size_t j = pair.begin; j < pair.end; j += kTileKeys) {
    TileScores<kGroups>(tiles, j, pair.groups, beside);
  }
}

template <size_t kGroups>
CROSSOVER_TILES void PairSums(const ChunkTiles& tiles, const RowPair& pair,
                              PairExponentials& beside) {
  for (size_t x = 0; x < tiles.dims; x += 32) {
    TileSums<kGroups>(tiles, x, pair.begin, pair.end, pair.groups, beside);
  }
}

/// One turn of the pipeline: the scores of `scored`, the exponentials of `raised`, whose scores and
/// maxima are there, the sums of `summed`, whose exponentials are there. Each may be null.
CROSSOVER_TILES inline void TurnPipeline(const ChunkTiles& tiles, const RowPair* scored,
                                         RowPair* raised, const RowPair* summed) {
  const auto calls = [&](const RowPair* pair) {
    return pair != nullptr ? pair->steps() * (tiles.dims / 32) : 0;
  };
  PairExponentials beside(raised, calls(scored) + calls(summed));
  if (scored != nullptr) {
    (scored->count == 2 ? PairScores<2> : PairScores<1>)(tiles, *scored, beside);
  }
  if (summed != nullptr) {
    (summed->count == 2 ? PairSums<2> : PairSums<1>)(tiles, *summed, beside);
  }
  beside.Finish();
}

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_TILES

#endif  // CROSSOVER_KERNELS_ATTENTION_TILE_WIDE_INL_H_
