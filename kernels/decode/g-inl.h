// G2 … G8: w = d·q - d·z. One function a width; the length of the groups and the zero point are
// run-time arguments, so that 42 formats are seven pieces of code.
#if defined(CROSSOVER_KERNELS_DECODE_G_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_DECODE_G_INL_H_
#undef CROSSOVER_KERNELS_DECODE_G_INL_H_
#else
#define CROSSOVER_KERNELS_DECODE_G_INL_H_
#endif

#include <algorithm>
#include <type_traits>

#include "kernels/decode/decoder-inl.h"
#include "kernels/packed/source.h"

#ifndef CROSSOVER_KERNELS_DECODE_G_SOURCE_
#define CROSSOVER_KERNELS_DECODE_G_SOURCE_
namespace crossover::kernels {

/// Planes are words already. Inlined, GCC 12 makes vectors of them that take twice the time.
template <class F>
HWY_NOINLINE void UnpackG(const typename F::Block& block, uint8_t* codes) {
  F::Unpack(block, codes);
}

template <size_t kBits, size_t kGroup, bool kZero>
struct PackedSource<quant::G<kBits, kGroup, kZero>> {
  using Format = quant::G<kBits, kGroup, kZero>;
  static constexpr bool kExists = true;
  static constexpr PackedSpec kSpec{
      .bits = kBits,
      .offset = kZero && kBits < 8 ? 0 : size_t{1} << (kBits - 1),
      .scales = kZero ? PackedScales::kHalfAndZero : PackedScales::kHalf};
  static HWY_INLINE void Read(const typename Format::Block& block, uint8_t* codes, RawScales& raw) {
    UnpackG<Format>(block, codes);
    if constexpr (Format::kSigned) {
      for (size_t i = 0; i < kGroup; i += 8) {
        StoreWord(LoadWord(codes + i) ^ 128 * kEachByte, codes + i);
      }
    }
    raw.d = block.d;
    if constexpr (kZero) raw.m = block.z;
  }
};

}  // namespace crossover::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

/// `weights` a multiple of `group`. Codes of several groups are unpacked, then used: a vector load
/// that spans several stores would otherwise wait until those have left for the cache.
template <size_t kBits>
HWY_NOINLINE void DecodeGroups(const uint8_t* blocks, size_t group, bool zero, size_t weights,
                               float* out) {
  constexpr size_t kBatch = 256;
  constexpr size_t kChunk = quant::kPlaneChunk;
  using Code = std::conditional_t<kBits == 8, int8_t, uint8_t>;
  const size_t header = zero ? 2 * sizeof(quant::Half) : sizeof(quant::Half);
  const size_t block_bytes = quant::GBlockBytes({kBits, group, zero});
  alignas(64) uint8_t codes[kBatch];
  while (weights > 0) {
    const size_t batch = std::min(kBatch, weights);
    const uint8_t* block = blocks;
    for (size_t i = 0; i < batch; i += group, block += block_bytes) {
      for (size_t j = 0; j < group; j += kChunk) {
        quant::UnpackPlanes<kBits>(block + header + j * kBits / 8, codes + i + j);
      }
    }
    for (size_t i = 0; i < batch; i += group, blocks += block_bytes) {
      quant::Half halves[2];
      std::memcpy(halves, blocks, header);
      const float z = zero ? HalfToFloat(halves[1]) : static_cast<float>(quant::GOffset(kBits));
      CodesToFloats(reinterpret_cast<const Code*>(codes) + i, group, HalfToFloat(halves[0]), z,
                    out + i);
    }
    weights -= batch;
    out += batch;
  }
}

template <size_t kBits, size_t kGroup, bool kZero>
struct Decoder<quant::G<kBits, kGroup, kZero>> {
  using Block = typename quant::G<kBits, kGroup, kZero>::Block;

  static HWY_INLINE void ToFloat(const Block* blocks, size_t n, float* out) {
    DecodeGroups<kBits>(reinterpret_cast<const uint8_t*>(blocks), kGroup, kZero, n, out);
  }
};

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // CROSSOVER_KERNELS_DECODE_G_INL_H_
