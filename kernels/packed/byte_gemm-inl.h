// Products of many tokens with 8-bit activations where bytes are not multiplied in one instruction
// (SSE4, AVX2, AVX-512 without VNNI): vpmaddubsw adds pairs of products in 16 bits, and codes of
// few bits leave room there for several of them before a multiplication by the group's scale, or
// by 1, widens the sum to 32 bits:
//
//   b bits: ⌊(2^15 - 1) / (2 · 127 · (2^b - 1))⌋ products: 43, 18, 8, 4, 2, 1 for b = 2 … 7
//
// A unit of 16 rows is unpacked once for a block of tokens, with signed scales, so that of
//   Σ_g scale[g] · (Σ_k code[k]·x[k] - offset·xsum[g])
// the second part, like a minimum's, is a few products with sums of activations. All integers are
// those of unit_dot-inl.h, and floats are added in its order: a token's bits do not depend on how
// many there are.
#if defined(CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
#undef CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
#else
#define CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/packed/pack.h"
#include "kernels/packed/store_rows-inl.h"
#include "kernels/packed/unit_dot-inl.h"

#if CROSSOVER_BYTE_PAIRS

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// Products of codes that 16 bits add up.
template <PackedSpec kSpec>
constexpr size_t kProductsInShort = kSignedCodes<kSpec>
                                        ? 1
                                        : 32767 / (2 * 127 * ((size_t{1} << kSpec.bits) - 1));

/// A unit, taken apart.
template <PackedSpec kSpec>
struct UnitPanel {
  static constexpr size_t kQuads = kSpec.unit_columns() / 4;
  static constexpr size_t kGroups = std::max<size_t>(kSpec.groups(), 2);
  static constexpr size_t kBlocks = kSpec.has_groups() ? 1 : kPackedChunk / 32;
  static constexpr bool kHasSums = kSpec.has_groups() && (kSpec.has_min() || kOffset<kSpec> != 0);

  // [quad of columns][16 rows × 4]; magnitudes where codes are signed, which then stand apart.
  alignas(64) uint8_t codes[kQuads][64];
  alignas(64) uint8_t signs[kSignedCodes<kSpec> ? kQuads : 1][64];
  alignas(64) int32_t scales[kGroups][16];    // in both halves of a dword
  alignas(64) int32_t sums[kGroups / 2][16];  // what sums of activations meet, two groups a dword
  alignas(64) float d[kBlocks][16];
  alignas(64) float m[kBlocks][16];

  void Fill(const PackedUnit& unit, const PackedGeometry& geometry) {
    for (size_t row = 0; row < kPackedRows; row += kLaneRows) {
      FillSlots(unit.codes + 4 * row, row, std::make_index_sequence<kQuads / 4>());
      if constexpr (kSpec.has_groups()) {
        FillScales(unit, row, std::make_index_sequence<kSpec.groups() / 2>());
      } else {
        for (size_t b = 0; b < kPackedChunk / geometry.block; ++b) {
          FillHalves(unit.scales + b * geometry.half_bytes + 2 * row, b, row,
                     geometry.scales != PackedScales::kHalf);
        }
      }
    }
  }

 private:
  template <size_t... kSlots>
  HWY_INLINE void FillSlots(const uint8_t* from, size_t row, std::index_sequence<kSlots...>) {
    (FillSlot<kSlots>(from, row), ...);
  }

  template <size_t kSlot>
  HWY_INLINE void FillSlot(const uint8_t* from, size_t row) {
    const PackedBytes d8;
    const uint8_t* chunk = from + kSlot / kChunkSlots * kSpec.chunk_bytes();
    for (size_t q = 0; q < 4; ++q) {
      VBytes code = FactorCodes<kSpec, kSlot % kChunkSlots, 0>(chunk, q);
      if constexpr (kSignedCodes<kSpec>) {
        hn::StoreU(code, d8, &signs[kSlot * 4 + q][4 * row]);
        code = Magnitudes(code);
      }
      hn::StoreU(code, d8, &codes[kSlot * 4 + q][4 * row]);
    }
  }

  template <size_t... kPairs>
  HWY_INLINE void FillScales(const PackedUnit& unit, size_t row, std::index_sequence<kPairs...>) {
    VBytes quads[4], min_quads[4];
    LoadScaleQuads<kSpec>(unit.scales + kSpec.half_bytes(), row, quads, min_quads);
    (FillPair<kPairs>(quads, min_quads, row), ...);
    FillHalves(unit.scales + 2 * row, 0, row, kSpec.has_min());
  }

  template <size_t kPair>
  HWY_INLINE void FillPair(const VBytes* quads, const VBytes* min_quads, size_t row) {
    const PackedInts di;
    constexpr size_t kQuad = kPair / 2, kByte = 2 * kPair % 4;
    const VInts bias = hn::Set(di, kSpec.scale_bias());
    const VInts first = hn::Sub(QuadByte<kByte>(quads[kQuad]), bias);
    const VInts second = hn::Sub(QuadByte<kByte + 1>(quads[kQuad]), bias);
    hn::StoreU(Halves(first, first), di, &scales[2 * kPair][row]);
    hn::StoreU(Halves(second, second), di, &scales[2 * kPair + 1][row]);
    if constexpr (kSpec.has_min()) {
      hn::StoreU(Halves(QuadByte<kByte>(min_quads[kQuad]), QuadByte<kByte + 1>(min_quads[kQuad])),
                 di, &sums[kPair][row]);
    } else if constexpr (kHasSums) {
      constexpr int kShift = Log2(kOffset<kSpec>);
      hn::StoreU(Halves(hn::ShiftLeft<kShift>(first), hn::ShiftLeft<kShift>(second)), di,
                 &sums[kPair][row]);
    }
  }

  static HWY_INLINE VInts Halves(VInts low, VInts high) {
    return hn::Or(hn::And(low, hn::Set(PackedInts(), 0xffff)), hn::ShiftLeft<16>(high));
  }

  HWY_INLINE void FillHalves(const uint8_t* halves, size_t block, size_t row, bool has_second) {
    hn::StoreU(LoadRowHalves(halves), PackedFloats(), &d[block][row]);
    if (has_second) hn::StoreU(LoadRowHalves(halves + 32), PackedFloats(), &m[block][row]);
  }
};

/// All rows of a share.
template <PackedSpec kSpec>
class ByteGemm {
 public:
  ByteGemm(const MatMulShare& share, const PackedGeometry& geometry, const Q8Rows& x,
           const GroupSums& sums)
      : share_(share),
        geometry_(geometry),
        x_(x),
        sums_(sums),
        pairs_(reinterpret_cast<int32_t*>(share.scratch.data())) {}

  void Run() {
    // Sums of activations, two a dword, have to find room in the scratch space.
    const size_t fit = share_.scratch.size() / sizeof(int32_t) / std::max<size_t>(1, Pairs());
    const size_t step = std::clamp<size_t>(fit / kTokens * kTokens, kTokens, kBlockTokens);
    for (size_t first = 0; first < share_.tokens; first += step) {
      const size_t tokens = std::min(step, share_.tokens - first);
      if constexpr (Panel::kHasSums) PairSums(first, tokens);
      for (size_t row = share_.rows.begin; row < share_.rows.end; row += kPackedRows) {
        RunGroup(row, first, tokens);
      }
    }
  }

 private:
  using Panel = UnitPanel<kSpec>;
  // Sums of kTokens tokens × kParts registers of rows, in 16 bits, stay in registers; where groups
  // are short, those in 32 bits have to as well.
  static constexpr size_t kParts = kSpec.group == 16 || kLaneRows == 16 ? 1 : 2;
  static constexpr size_t kTokens = kLaneRows == 16 ? 8 : 4;
  static constexpr size_t kBlockTokens = 128;
  static_assert(kBlockTokens % kTokens == 0);

  /// Of a token.
  size_t Pairs() const { return Panel::kHasSums ? geometry_.units * kSpec.groups() / 2 : 0; }

  void PairSums(size_t first, size_t tokens) {
    for (size_t t = 0; t < tokens; ++t) {
      const int32_t* from = sums_.negative + (first + t) * sums_.stride;
      int32_t* to = pairs_ + t * Pairs();
      for (size_t i = 0; i < Pairs(); ++i) {
        const auto low = static_cast<uint32_t>(from[2 * i]) & 0xffffu;
        to[i] = static_cast<int32_t>(low | static_cast<uint32_t>(from[2 * i + 1]) << 16);
      }
    }
  }

  HWY_NOINLINE void RunGroup(size_t row, size_t first, size_t tokens) {
    const auto* group =
        static_cast<const uint8_t*>(share_.w->data) + row / kPackedRows * geometry_.group_bytes;
    alignas(64) float acc[kBlockTokens][kPackedRows];
    std::fill_n(&acc[0][0], tokens * kPackedRows, 0.0f);
    for (size_t u = 0; u < geometry_.units; ++u) {
      panel_.Fill(PackedUnit(group, geometry_, u, kSpec.code_bytes()), geometry_);
      for (size_t t = 0; t < tokens; t += kTokens) {
        const size_t n = std::min(kTokens, tokens - t);
        for (size_t part = 0; part < kPackedRows; part += kParts * kLaneRows) {
          AddUnit(first, t, n, u, part, acc);
        }
      }
    }
    for (size_t t = 0; t < tokens; ++t) StoreRows(share_, first + t, row, acc[t]);
  }

  /// acc += the unit's products with tokens [t, t + n) of the block; missing ones repeat the last.
  HWY_INLINE void AddUnit(size_t first, size_t t, size_t n, size_t u, size_t row,
                          float (*acc)[kPackedRows]) {
    size_t token[kTokens];
    const int8_t* codes[kTokens];
    for (size_t i = 0; i < kTokens; ++i) {
      token[i] = t + std::min(i, n - 1);
      codes[i] = x_.codes + (first + token[i]) * x_.code_stride + u * kSpec.unit_columns();
    }
    if constexpr (kSpec.has_groups()) {
      AddGroups(first, token, n, codes, u, row, acc);
    } else {
      AddBlocks(first, token, n, codes, u, row, acc);
    }
  }

  /// total[t][p] += the products of quads [begin, end), which 16 bits can add up, by `scale`.
  HWY_INLINE void AddRun(const int8_t* const* codes, size_t begin, size_t end, size_t row,
                         const VShorts* scale, VInts (*total)[kParts]) const {
    const PackedBytes d8;
    VShorts sum[kTokens][kParts];
    for (size_t q = begin; q < end; ++q) {
      VBytes w[kParts], sign[kParts];
      for (size_t p = 0; p < kParts; ++p) {
        w[p] = hn::LoadU(d8, &panel_.codes[q][4 * (row + p * kLaneRows)]);
        if constexpr (kSignedCodes<kSpec>) {
          sign[p] = hn::LoadU(d8, &panel_.signs[q][4 * (row + p * kLaneRows)]);
        }
      }
      for (size_t t = 0; t < kTokens; ++t) {
        int32_t quad;
        std::memcpy(&quad, codes[t] + 4 * q, 4);
        const VBytes x = hn::BitCast(d8, hn::Set(PackedInts(), quad));
        for (size_t p = 0; p < kParts; ++p) {
          VShorts pairs;
          if constexpr (kSignedCodes<kSpec>) {
            pairs = BytePairs(w[p], WithSign(x, sign[p]));
          } else {
            pairs = BytePairs(w[p], x);
          }
          sum[t][p] = q == begin ? pairs : hn::Add(sum[t][p], pairs);
        }
      }
    }
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t p = 0; p < kParts; ++p) {
        total[t][p] = hn::Add(total[t][p], ShortPairs(sum[t][p], scale[p]));
      }
    }
  }

  /// The same of all quads of a group or a block.
  template <size_t kQuads>
  HWY_INLINE void AddQuads(const int8_t* const* codes, size_t begin, size_t row,
                           const VShorts* scale, VInts (*total)[kParts]) const {
    constexpr size_t kRun = std::min(kQuads, std::bit_floor(kProductsInShort<kSpec>));
    for (size_t q = 0; q < kQuads; q += kRun) {
      AddRun(codes, begin + q, begin + q + kRun, row, scale, total);
    }
  }

  HWY_INLINE VShorts LoadShorts(const int32_t* p) const {
    return hn::BitCast(PackedShorts(), hn::LoadU(PackedInts(), p));
  }

  HWY_INLINE void AddGroups(size_t first, const size_t* token, size_t n, const int8_t* const* codes,
                            size_t u, size_t row, float (*acc)[kPackedRows]) {
    const PackedInts di;
    const PackedFloats df;
    VInts total[kTokens][kParts];
    for (auto& part : total) {
      for (VInts& v : part) v = hn::Zero(di);
    }
    for (size_t g = 0; g < kSpec.groups(); ++g) {
      VShorts scale[kParts];
      for (size_t p = 0; p < kParts; ++p) {
        scale[p] = LoadShorts(&panel_.scales[g][row + p * kLaneRows]);
      }
      AddQuads<kSpec.group / 4>(codes, g * kSpec.group / 4, row, scale, total);
    }
    for (size_t t = 0; t < n; ++t) {
      const VFloats xs = hn::Set(df, x_.scales[(first + token[t]) * x_.scale_stride + u]);
      for (size_t p = 0; p < kParts; ++p) {
        const size_t r = row + p * kLaneRows;
        VInts sums = hn::Zero(di);
        if constexpr (Panel::kHasSums) {
          const int32_t* pairs = pairs_ + token[t] * Pairs() + u * kSpec.groups() / 2;
          for (size_t i = 0; i < kSpec.groups() / 2; ++i) {
            const VShorts x = hn::BitCast(PackedShorts(), hn::Set(di, pairs[i]));
            sums = hn::Add(sums, ShortPairs(LoadShorts(&panel_.sums[i][r]), x));
          }
        }
        VInts dot = total[t][p];
        if constexpr (Panel::kHasSums && !kSpec.has_min()) dot = hn::Add(dot, sums);
        float* out = &acc[token[t]][r];
        VFloats y = hn::MulAdd(hn::ConvertTo(df, dot), hn::Mul(hn::LoadU(df, &panel_.d[0][r]), xs),
                               hn::LoadU(df, out));
        if constexpr (kSpec.has_min()) {
          y = hn::MulAdd(hn::ConvertTo(df, sums), hn::Mul(hn::LoadU(df, &panel_.m[0][r]), xs), y);
        }
        hn::StoreU(y, df, out);
      }
    }
  }

  HWY_INLINE void AddBlocks(size_t first, const size_t* token, size_t n, const int8_t* const* codes,
                            size_t u, size_t row, float (*acc)[kPackedRows]) {
    const PackedInts di;
    VShorts ones[kParts];
    for (VShorts& one : ones) one = hn::Set(PackedShorts(), int16_t{1});
    const bool has_offset = HasOffset<kSpec>(geometry_);
    for (size_t b = 0; b < kPackedChunk / geometry_.block; ++b) {
      const size_t block = u * (kPackedChunk / geometry_.block) + b;
      VInts total[kTokens][kParts];
      for (size_t t = 0; t < kTokens; ++t) {
        VInts start = hn::Zero(di);
        if (kOffset<kSpec> != 0 && has_offset) {
          const int32_t sum = sums_.negative[(first + token[t]) * sums_.stride + block];
          start = hn::ShiftLeft<Log2(kOffset<kSpec>)>(hn::Set(di, sum));
        }
        for (VInts& v : total[t]) v = start;
      }
      for (size_t q = 0; q < geometry_.block / 4; q += 8) {
        AddQuads<8>(codes, b * geometry_.block / 4 + q, row, ones, total);
      }
      for (size_t t = 0; t < n; ++t)
        AddBlock(first + token[t], block, b, row, total[t], acc[token[t]]);
    }
  }

  /// acc += a block's sums, scaled.
  HWY_INLINE void AddBlock(size_t token, size_t block, size_t b, size_t row, const VInts* total,
                           float* acc) const {
    const PackedFloats df;
    const VFloats xs = hn::Set(df, x_.scales[token * x_.scale_stride + block]);
    const VFloats sum = hn::Set(df, sums_.scaled[token * sums_.stride + block]);
    for (size_t p = 0; p < kParts; ++p) {
      const size_t r = row + p * kLaneRows;
      const VFloats d = hn::LoadU(df, &panel_.d[b][r]);
      VFloats y = hn::MulAdd(hn::ConvertTo(df, total[p]), hn::Mul(d, xs), hn::LoadU(df, acc + r));
      if (geometry_.scales != PackedScales::kHalf) {
        const VFloats m = hn::LoadU(df, &panel_.m[b][r]);
        y = hn::MulAdd(geometry_.scales == PackedScales::kHalfAndMin ? m : hn::Neg(hn::Mul(d, m)),
                       sum, y);
      }
      hn::StoreU(y, df, acc + r);
    }
  }

  const MatMulShare& share_;
  const PackedGeometry& geometry_;
  const Q8Rows& x_;
  const GroupSums& sums_;
  int32_t* pairs_;  // [tokens of a block][Pairs()]
  Panel panel_;
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_BYTE_PAIRS

#endif  // CROSSOVER_KERNELS_PACKED_BYTE_GEMM_INL_H_
