// Dropout: the mask is made from Philox counters on the way, forward and again backward, and never
// stored. One read and one write; bound by Philox, about 1.2 cycles a float in cache.

#include "cpu/philox.h"
#include "kernels/random.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kGroupsPerChunk = 256;  // 16384 elements, some 10 us

// What becomes of an element that is kept, scale x + shift, and of one that is not.
template <class T>
struct Kept {
  T scale, shift, dropped;
};

// One group of 64 elements. Element i of a tensor belongs to word i, whatever its dtype.
template <class T, bool kPastCaches>
DLCORE_INLINE void drop_group(const Source& source, int64_t group, const T* x, T* y,
                              uint32_t drop_below, const Kept<T>& kept) {
  const auto put = [=](int64_t at, Mask<T> keep) {
    const Vec<T> v = keep ? load<T>(x + at) * kept.scale + kept.shift : splat<T>(kept.dropped);
    if constexpr (kPastCaches)
      stream<T>(y + at, v);
    else
      store<T>(y + at, v);
  };
  if constexpr (sizeof(T) == 4) {
    group_words32(source, group, [=](int64_t j, const U32* words) {
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) put(w * kGroupCounters + j, words[w] >= drop_below);
    });
  } else {
    group_words64(source, group, [=](int64_t j, const U64* words) {
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w)
        put(w * kGroupCounters + j, (words[w] & 0xffffffffu) >= uint64_t(drop_below));
    });
  }
}

template <class T, bool kPastCaches>
DLCORE_INLINE void drop(const T* x, T* y, int64_t n, uint32_t drop_below, const Kept<T>& kept,
                        const Source& source) {
  parallel_for(ceil_div(n, kGroupWords), kGroupsPerChunk, [=, &source](int64_t begin, int64_t end) {
    const int64_t whole = smaller(end, n / kGroupWords);
    for (int64_t group = begin; group < whole; ++group)
      drop_group<T, kPastCaches>(source, group, x + group * kGroupWords, y + group * kGroupWords,
                                 drop_below, kept);
    if (kPastCaches) stream_fence();
    if (whole < end) {
      const size_t left = static_cast<size_t>(n - whole * kGroupWords) * sizeof(T);
      T part[kGroupWords] = {};
      std::memcpy(part, x + whole * kGroupWords, left);
      drop_group<T, false>(source, whole, part, part, drop_below, kept);
      std::memcpy(y + whole * kGroupWords, part, left);
    }
  });
}

// y = scale x + shift where word i >= drop_below, else `dropped` (also where x is inf or NaN). With
// a shift of -0 it is scale x to the last bit. y may be x.
template <class T>
void dropout(const T* x, T* y, int64_t n, uint32_t drop_below, T scale, T shift, T dropped,
             uint64_t seed, uint64_t offset) {
  const Kept<T> kept{scale, shift, dropped};
  const Source source = make_source(seed, offset, 0);
  const bool aligned = reinterpret_cast<uintptr_t>(y) % 64 == 0;
  if (aligned && x != y && n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes)
    drop<T, true>(x, y, n, drop_below, kept, source);
  else
    drop<T, false>(x, y, n, drop_below, kept, source);
}

}  // namespace

DLCORE_EXPORT(dropout)

}  // namespace DLCORE_ISA
}  // namespace dlcore
