#include "kernels/probe.h"

#include <cstdint>

#include "kernels/dotprod.h"
#include "kernels/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/probe.cc"
#include <hwy/foreach_target.h>

#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crossover::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <bool kPrefetch>
void ReadLoop(const uint8_t* data, size_t bytes, size_t passes) {
  constexpr size_t kAhead = 2048;
  constexpr size_t kUnroll = 8;
  const hn::ScalableTag<uint64_t> d;
  constexpr size_t kBytes = hn::MaxLanes(d) * sizeof(uint64_t);
  hn::Vec<decltype(d)> sums[kUnroll];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (size_t pass = 0; pass < passes; ++pass) {
    for (size_t i = 0; i < bytes; i += kUnroll * kBytes) {
      if constexpr (kPrefetch) {
        for (size_t line = 0; line < kUnroll * kBytes; line += 64) {
          __builtin_prefetch(data + i + line + kAhead, 0, 2);
        }
      }
      for (size_t k = 0; k < kUnroll; ++k) {
        const auto* from = reinterpret_cast<const uint64_t*>(data + i + k * kBytes);
        sums[k] = hn::Xor(sums[k], hn::Load(d, from));
      }
    }
    // Memory may have changed, for all the compiler knows: each pass reads again.
    asm volatile("" : : : "memory");
  }
  for (size_t k = 1; k < kUnroll; ++k) sums[0] = hn::Xor(sums[0], sums[k]);
  const uint64_t sink = hn::GetLane(sums[0]);
  asm volatile("" : : "r"(sink));
}

void ReadMemory(const void* data, size_t bytes, size_t passes, bool prefetch) {
  const auto* from = static_cast<const uint8_t*>(data);
  prefetch ? ReadLoop<true>(from, bytes, passes) : ReadLoop<false>(from, bytes, passes);
}

#if HWY_TARGET != HWY_SCALAR

// Independent accumulators: two pipes times a latency of up to 5, and with the operands no more
// than AVX2's 16 registers.
constexpr size_t kChains = 12;

// Keeps the sums alive; what they are does not matter.
template <class D, class V>
HWY_INLINE void Consume(D d, V (&sums)[kChains]) {
  for (size_t k = 1; k < kChains; ++k) sums[0] = hn::Add(sums[0], sums[k]);
  const auto sink = hn::GetLane(sums[0]);
  asm volatile("" : : "m"(sink));
  (void)d;
}

void RunFma(size_t iterations) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 0.999f), offset = hn::Set(d, 0.001f);
  hn::Vec<decltype(d)> sums[kChains];
  for (size_t k = 0; k < kChains; ++k) sums[k] = hn::Set(d, 1.0f + static_cast<float>(k));
  for (size_t i = 0; i < iterations; ++i) {
    // The sum is a factor: a product of constants could be taken out of the loop.
    for (auto& sum : sums) sum = hn::MulAdd(sum, factor, offset);
  }
  Consume(d, sums);
}

PeakLoop FmaLoop() {
  const hn::ScalableTag<float> d;
  return {.unit = "f32_fma",
          .instruction = HWY_NATIVE_FMA ? "multiply-add" : "multiply, add",
          .operations = 2.0 * kChains * hn::Lanes(d),
          .run = RunFma};
}

#else  // HWY_SCALAR

PeakLoop FmaLoop() { return {.unit = "f32_fma", .missing = "level scalar uses no vector unit"}; }

#endif

// Signed or unsigned bytes times bytes, summed into 32 bits.
#if HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || \
    HWY_TARGET == HWY_SSE4

template <class V>
HWY_INLINE V DotBytes(V sum, V a, V b, V ones) {
#if HWY_TARGET == HWY_AVX3_DL
  (void)ones;
  return V{_mm512_dpbusd_epi32(sum.raw, a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX3
  return V{
      _mm512_add_epi32(sum.raw, _mm512_madd_epi16(_mm512_maddubs_epi16(a.raw, b.raw), ones.raw))};
#elif HWY_TARGET == HWY_AVX2
  return V{
      _mm256_add_epi32(sum.raw, _mm256_madd_epi16(_mm256_maddubs_epi16(a.raw, b.raw), ones.raw))};
#else
  return V{_mm_add_epi32(sum.raw, _mm_madd_epi16(_mm_maddubs_epi16(a.raw, b.raw), ones.raw))};
#endif
}

void RunInt8Dot(size_t iterations) {
  const hn::ScalableTag<int32_t> d;
  auto a = hn::Set(d, 0x01020304);
  const auto b = hn::Set(d, 0x04030201), ones = hn::Set(d, 0x00010001);
  hn::Vec<decltype(d)> sums[kChains];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (size_t i = 0; i < iterations; ++i) {
    for (auto& sum : sums) {
      // "Changed": else the product, the same for all sums, would be computed once.
      asm volatile("" : "+x"(a.raw));
      sum = DotBytes(sum, a, b, ones);
    }
  }
  Consume(d, sums);
}

#if HWY_TARGET == HWY_AVX2

// The attribute replaces the target of the region, so it repeats that.
__attribute__((target(HWY_TARGET_STR ",avxvnni"))) void RunInt8Vnni(size_t iterations) {
  const hn::ScalableTag<int32_t> d;
  auto a = hn::Set(d, 0x01020304);
  const auto b = hn::Set(d, 0x04030201);
  hn::Vec<decltype(d)> sums[kChains];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (size_t i = 0; i < iterations; ++i) {
    for (auto& sum : sums) {
      asm volatile("" : "+x"(a.raw));
      sum.raw = _mm256_dpbusd_avx_epi32(sum.raw, a.raw, b.raw);
    }
  }
  Consume(d, sums);
}

#endif

PeakLoop Int8Loop() {
  const hn::ScalableTag<int8_t> d;
#if HWY_TARGET == HWY_AVX2
  if (DotprodSelected()) {
    return {.unit = "int8_dot",
            .instruction = "vpdpbusd",
            .operations = 2.0 * kChains * hn::Lanes(d),
            .run = RunInt8Vnni};
  }
#endif
  return {.unit = "int8_dot",
          .instruction = HWY_TARGET == HWY_AVX3_DL ? "vpdpbusd" : "pmaddubsw, pmaddwd, paddd",
          .operations = 2.0 * kChains * hn::Lanes(d),
          .run = RunInt8Dot};
}

#else

PeakLoop Int8Loop() { return {.unit = "int8_dot", .missing = "no loop for this level"}; }

#endif

#if HWY_TARGET == HWY_AVX3_DL

// Highway 1.0.3 has no target that names this extension: asked of the CPU by itself. The attribute
// replaces the target of the region, so it repeats that.
__attribute__((target(HWY_TARGET_STR ",avx512bf16"))) void RunBf16Dot(size_t iterations) {
  const hn::ScalableTag<float> d;
  const auto ones = hn::Set(d, 0.5f);
  const __m512bh a = reinterpret_cast<__m512bh>(ones.raw);
  hn::Vec<decltype(d)> sums[kChains];
  for (auto& sum : sums) sum = hn::Zero(d);
  for (size_t i = 0; i < iterations; ++i) {
    for (auto& sum : sums) sum.raw = _mm512_dpbf16_ps(sum.raw, a, a);
  }
  Consume(d, sums);
}

PeakLoop Bf16Loop() {
  if (!__builtin_cpu_supports("avx512bf16")) {
    return {.unit = "bf16_dot", .missing = "this CPU lacks AVX512-BF16"};
  }
  return {.unit = "bf16_dot",
          .instruction = "vdpbf16ps",
          .operations = 2.0 * kChains * 32,
          .run = RunBf16Dot};
}

#else

PeakLoop Bf16Loop() {
  return {.unit = "bf16_dot", .missing = "no bfloat16 dot product at this level"};
}

#endif

std::vector<PeakLoop> VectorPeakLoops() { return {FmaLoop(), Int8Loop(), Bf16Loop()}; }

}  // namespace crossover::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crossover::kernels {
namespace {
HWY_EXPORT(ReadMemory);
HWY_EXPORT(VectorPeakLoops);
}  // namespace

void ReadMemory(const void* data, size_t bytes, size_t passes, bool prefetch) {
  HWY_DYNAMIC_DISPATCH(ReadMemory)(data, bytes, passes, prefetch);
}

std::vector<PeakLoop> PeakLoops() {
  std::vector<PeakLoop> loops = HWY_DYNAMIC_DISPATCH(VectorPeakLoops)();
  for (PeakLoop& loop : AmxPeakLoops()) {
    // A lower level stands for a lesser machine; its kernels would not use tiles either.
    if (!TilesSelected() && loop.missing.empty()) {
      loop.missing = "level " + std::string(SelectedIsa()) + " uses no tiles";
      loop.run = nullptr;
    }
    loops.push_back(std::move(loop));
  }
  return loops;
}

}  // namespace crossover::kernels
#endif  // HWY_ONCE
