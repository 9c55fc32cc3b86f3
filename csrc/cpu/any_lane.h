// Whether a comparison holds anywhere.
#pragma once

#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
DLCORE_INLINE bool any(Mask<T> m) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_movepi32_mask(__m512i(m)) != 0;
  else
    return _mm512_movepi64_mask(__m512i(m)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_epi8(__m256i(m)) != 0;
#elif defined(__x86_64__)
  return _mm_movemask_epi8(__m128i(m)) != 0;
#else
  bool found = false;
  for (int64_t i = 0; i < kLanes<T>; ++i) found |= m[i] != 0;
  return found;
#endif
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
