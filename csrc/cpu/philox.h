// Philox4x32-10 on vectors (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", 2011). A 32-bit word sits in the low half of a 64-bit lane, where the widening
// multiplication wants it; the high half holds leftovers that never flow down.
// 60 instructions make 4 words in each lane: about one cycle a word on two 512-bit ports.
#pragma once

#include "cpu/simd.h"
#include "runtime/random.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

typedef uint64_t U64 __attribute__((vector_size(kVectorBytes)));
typedef uint32_t U32 __attribute__((vector_size(kVectorBytes)));
typedef int32_t I32 __attribute__((vector_size(kVectorBytes)));
constexpr int64_t kLanes64 = kVectorBytes / 8;
constexpr int64_t kLanes32 = kVectorBytes / 4;

// The low halves of a, times b.
DLCORE_INLINE U64 widening_mul(U64 a, uint32_t b) {
#if defined(__AVX512F__)
  return U64(_mm512_mul_epu32(__m512i(a), _mm512_set1_epi64(b)));
#elif defined(__AVX2__)
  return U64(_mm256_mul_epu32(__m256i(a), _mm256_set1_epi64x(b)));
#elif defined(__x86_64__)
  return U64(_mm_mul_epu32(__m128i(a), _mm_set1_epi64x(b)));
#elif defined(__aarch64__)
  return U64(vmull_u32(vmovn_u64(uint64x2_t(a)), vdup_n_u32(b)));
#else
  return (a & 0xffffffffu) * uint64_t(b);
#endif
}

// Where a draw's numbers come from. `stream` is the high half of the 128-bit counter; the keys of
// the ten rounds are made once.
struct Source {
  uint64_t offset, stream;
  uint64_t key[10][2];
};

DLCORE_INLINE Source make_source(uint64_t seed, uint64_t offset, uint64_t stream) {
  Source source{offset, stream, {}};
  uint32_t low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  for (auto& key : source.key) {
    key[0] = low;
    key[1] = high;
    low += 0x9E3779B9u;
    high += 0xBB67AE85u;
  }
  return source;
}

struct Words {
  U64 word[4];
};

DLCORE_INLINE Words philox(U64 counter, const Source& source) {
  U64 c0 = counter, c1 = counter >> 32;
  U64 c2 = U64{} + source.stream, c3 = U64{} + (source.stream >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const U64 p0 = widening_mul(c0, 0xD2511F53u), p1 = widening_mul(c2, 0xCD9E8D57u);
    c0 = (p1 >> 32) ^ c1 ^ source.key[round][0];
    c2 = (p0 >> 32) ^ c3 ^ source.key[round][1];
    c1 = p1;
    c3 = p0;
  }
  return {{c0, c1, c2, c3}};
}

DLCORE_INLINE U64 lane_numbers(uint64_t step) {
  U64 v;
  for (int64_t i = 0; i < kLanes64; ++i) v[i] = static_cast<uint64_t>(i) * step;
  return v;
}

// put(at, words) with the 32-bit words of a group: words are number at, at + 1, ... of the group.
template <class Put>
DLCORE_INLINE void group_words32(const Source& source, int64_t group, const Put& put) {
  const U64 base = U64{} + (source.offset + static_cast<uint64_t>(group * kGroupCounters));
#pragma GCC unroll 4
  for (int64_t j = 0; j < kGroupCounters; j += kLanes32) {
    const U64 first = base + static_cast<uint64_t>(j) + lane_numbers(2);
    const Words even = philox(first, source), odd = philox(first + 1, source);
    U32 words[4];
#pragma GCC unroll 4
    for (int w = 0; w < 4; ++w) words[w] = U32((even.word[w] & 0xffffffffu) | (odd.word[w] << 32));
    put(j, words);
  }
}

// The same numbers one to a 64-bit lane, in its low half (the high half is not zero).
template <class Put>
DLCORE_INLINE void group_words64(const Source& source, int64_t group, const Put& put) {
  const U64 base = U64{} + (source.offset + static_cast<uint64_t>(group * kGroupCounters));
#pragma GCC unroll 8
  for (int64_t j = 0; j < kGroupCounters; j += kLanes64)
    put(j, philox(base + static_cast<uint64_t>(j) + lane_numbers(1), source).word);
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
