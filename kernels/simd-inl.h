// Highway as our kernels use it: included once per target, after foreach_target.h.
#if defined(CROSSOVER_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CROSSOVER_KERNELS_SIMD_INL_H_
#undef CROSSOVER_KERNELS_SIMD_INL_H_
#else
#define CROSSOVER_KERNELS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

// Highway before 1.0.4 asks the CPU for AVX512-VNNI at this level, but forgets to tell the
// compiler. What its own functions are compiled for must stay in the list, or they could not be
// inlined into ours.
#if HWY_TARGET == HWY_AVX3_DL && !defined(HWY_TARGET_STR_AVX3_DL)
#undef HWY_TARGET_STR
#define HWY_TARGET_STR                                            \
  HWY_TARGET_STR_AVX3                                             \
  ",vpclmulqdq,avx512vbmi,avx512vbmi2,vaes,avxvnni,avx512bitalg," \
  "avx512vpopcntdq,avx512vnni"
#endif

// The second compilation (dotprod.h): code of ours under a name and for a target of its own, on top
// of one of Highway's. The tables that choose are those of the first.
#ifndef CROSSOVER_DOTPROD
#define CROSSOVER_DOTPROD 0
#endif
#if CROSSOVER_DOTPROD
#if HWY_ARCH_X86 && HWY_TARGET == HWY_SCALAR
// What Highway compiles beside AVX2 in any case; nobody calls it.
namespace hwy {
namespace N_SCALAR_UNUSED = HWY_NAMESPACE;
}
#undef HWY_NAMESPACE
#define HWY_NAMESPACE N_SCALAR_UNUSED
#else
namespace hwy {
namespace N_DOTPROD = HWY_NAMESPACE;
}
#undef HWY_NAMESPACE
#define HWY_NAMESPACE N_DOTPROD
#undef HWY_TARGET_STR
#if HWY_ARCH_X86
#define HWY_TARGET_STR HWY_TARGET_STR_AVX2 ",avxvnni"
#else
#define HWY_TARGET_STR "arch=armv8.2-a+crypto+dotprod"
#endif
#endif
#undef HWY_ONCE
#define HWY_ONCE 0
#endif

#endif  // CROSSOVER_KERNELS_SIMD_INL_H_
