// The order of boxes by their scores.
#pragma once

#include "cpu/scratch.h"
#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kDigitBits = 11;  // 3 passes over float32; a pass's counts are 8 KiB
constexpr int64_t kDigits = int64_t(1) << kDigitBits;
constexpr int64_t kInsertUpTo = 64;  // fewer scores are ordered before the counts are cleared

template <class T>
using Key = decltype(Bits<T>{}[0] + 0u);

template <class T>
struct Ranked {
  Key<T> key;
  int32_t index;
};

template <class T>
constexpr int kPasses = (static_cast<int>(8 * sizeof(T)) + kDigitBits - 1) / kDigitBits;

// A whole number that grows where the score falls; NaN comes first, -0 equals 0.
template <class T>
DLCORE_INLINE Key<T> falling_key(T score) {
  constexpr Key<T> sign = Key<T>(1) << (8 * sizeof(T) - 1);
  if (score != score) return 0;
  if (score == 0) score = 0;
  Key<T> bits;
  std::memcpy(&bits, &score, sizeof score);
  return bits & sign ? bits : ~(bits | sign);
}

DLCORE_INLINE int64_t order_bytes(int64_t n, int64_t bytes_of_key) {
  return 4 * n * bytes_of_key + 6 * kDigits * int64_t(sizeof(uint32_t)) + 192;
}

// order = the indices of the scores, the highest first, equal ones as they come. `scratch` has
// order_bytes(n, sizeof(T)). Least digit first: each pass keeps the order of the one before.
template <class T>
void order_by_score(const T* scores, int64_t n, int32_t* order, Scratch& scratch) {
  Ranked<T>* from = scratch.take<Ranked<T>>(n);
  Ranked<T>* to = scratch.take<Ranked<T>>(n);
  if (n <= kInsertUpTo) {
    for (int64_t i = 0; i < n; ++i) {
      const Ranked<T> one{falling_key<T>(scores[i]), static_cast<int32_t>(i)};
      int64_t j = i;
      for (; j > 0 && from[j - 1].key > one.key; --j) from[j] = from[j - 1];
      from[j] = one;
    }
    for (int64_t i = 0; i < n; ++i) order[i] = from[i].index;
    return;
  }
  uint32_t* counts = scratch.take<uint32_t>(kPasses<T> * kDigits);
  std::memset(counts, 0, sizeof(uint32_t) * kPasses<T> * kDigits);
  for (int64_t i = 0; i < n; ++i) {
    const Key<T> key = falling_key<T>(scores[i]);
    from[i] = {key, static_cast<int32_t>(i)};
    for (int p = 0; p < kPasses<T>; ++p)
      ++counts[p * kDigits + ((key >> (p * kDigitBits)) & (kDigits - 1))];
  }
  for (int p = 0; p < kPasses<T>; ++p) {
    uint32_t* starts = counts + p * kDigits;
    const int shift = p * kDigitBits;
    if (starts[(from[0].key >> shift) & (kDigits - 1)] == n) continue;  // one digit for all
    uint32_t total = 0;
    for (int64_t d = 0; d < kDigits; ++d) {
      const uint32_t count = starts[d];
      starts[d] = total;
      total += count;
    }
    for (int64_t i = 0; i < n; ++i) to[starts[(from[i].key >> shift) & (kDigits - 1)]++] = from[i];
    Ranked<T>* const kept = from;
    from = to, to = kept;
  }
  for (int64_t i = 0; i < n; ++i) order[i] = from[i].index;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
