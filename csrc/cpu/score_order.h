// Orders of numbers: of boxes by their scores, of elements.
#pragma once

#include "cpu/scratch.h"
#include "cpu/simd.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int kDigitBits = 11;    // 3 passes over float32; a pass's counts are 8 KiB
constexpr int kFewDigitBits = 8;  // 4 passes, whose counts are added up in a quarter of a us
constexpr int64_t kFewDigitsUpTo = 1024;
constexpr int64_t kInsertUpTo = 64;  // fewer are ordered before the counts are cleared

template <class T>
using Key = decltype(Bits<T>{}[0] + 0u);

template <class T>
struct Ranked {
  Key<T> key;
  int32_t index;
};

template <class T, int kBits>
constexpr int kPasses = (static_cast<int>(8 * sizeof(T)) + kBits - 1) / kBits;

// A whole number that grows where the score falls; NaN comes first, -0 equals 0.
template <class T>
DLCORE_INLINE Key<T> falling_key(T score) {
  if (score != score) return 0;
  score += T(0);  // -0 becomes 0
  Key<T> bits;
  std::memcpy(&bits, &score, sizeof score);
  const Key<T> negative = Key<T>(0) - (bits >> (8 * sizeof(T) - 1));  // all ones, or 0
  return bits ^ (~negative >> 1);  // without a branch, which would be missed each second time
}

DLCORE_INLINE int64_t order_bytes(int64_t n, int64_t bytes_of_key) {
  return 4 * n * bytes_of_key + (int64_t(6) << kDigitBits) * int64_t(sizeof(uint32_t)) + 192;
}

// Where `from` lies in order: in itself or in `to`. Least digit first: each pass keeps the order of
// the one before.
template <class T, int kBits>
DLCORE_INLINE const Ranked<T>* order_by_digits(Ranked<T>* from, Ranked<T>* to, int64_t n,
                                               uint32_t* counts) {
  constexpr int kCount = kPasses<T, kBits>;
  constexpr int64_t kDigits = int64_t(1) << kBits;
  const auto digit = [](Key<T> key, int p) { return (key >> (p * kBits)) & (kDigits - 1); };
  std::memset(counts, 0, sizeof(uint32_t) * kCount * kDigits);
  for (int64_t i = 0; i < n; ++i)
    for (int p = 0; p < kCount; ++p) ++counts[p * kDigits + digit(from[i].key, p)];
  for (int p = 0; p < kCount; ++p) {
    uint32_t* starts = counts + p * kDigits;
    if (starts[digit(from[0].key, p)] == n) continue;  // one digit for all
    uint32_t total = 0;
    for (int64_t d = 0; d < kDigits; ++d) {
      const uint32_t count = starts[d];
      starts[d] = total;
      total += count;
    }
    for (int64_t i = 0; i < n; ++i) to[starts[digit(from[i].key, p)]++] = from[i];
    Ranked<T>* const kept = from;
    from = to, to = kept;
  }
  return from;
}

// order = the indices from 0 to n, the lowest key_of(i) first, equal ones as they come. `scratch`
// has order_bytes(n, sizeof(T)).
template <class T, class KeyOf>
void order_by_key(const KeyOf& key_of, int64_t n, int32_t* order, Scratch& scratch) {
  Ranked<T>* const all = scratch.take<Ranked<T>>(n);
  Ranked<T>* const room = scratch.take<Ranked<T>>(n);
  uint32_t* const counts = scratch.take<uint32_t>(int64_t(6) << kDigitBits);
  const bool few = n <= kInsertUpTo;
  for (int64_t i = 0; i < n; ++i) {
    const Ranked<T> one{key_of(i), static_cast<int32_t>(i)};
    int64_t j = i;
    for (; few && j > 0 && all[j - 1].key > one.key; --j) all[j] = all[j - 1];
    all[j] = one;
  }
  const Ranked<T>* from = all;
  if (!few)
    from = n <= kFewDigitsUpTo ? order_by_digits<T, kFewDigitBits>(all, room, n, counts)
                               : order_by_digits<T, kDigitBits>(all, room, n, counts);
  for (int64_t i = 0; i < n; ++i) order[i] = from[i].index;
}

// The same by the scores, the highest first.
template <class T>
void order_by_score(const T* scores, int64_t n, int32_t* order, Scratch& scratch) {
  order_by_key<T>([=](int64_t i) { return falling_key<T>(scores[i]); }, n, order, scratch);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
