// Vectors of the widest width of the instruction set this file is compiled for, on the compiler's
// vector extensions: + - * / and comparisons are the language's own, a * b + c becomes an FMA.
// Everything has internal linkage: the linker must never share code between instruction sets.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "runtime/buffer.h"
#include "runtime/parallel.h"

#if defined(__x86_64__)
#  include <immintrin.h>
#elif defined(__aarch64__)
#  include <arm_neon.h>
#endif

#define DLCORE_INLINE [[maybe_unused]] static inline __attribute__((always_inline))
#define DLCORE_INLINE_MEMBER inline __attribute__((always_inline))

// A vector register that an asm statement changes, for all the compiler knows: what is in
// it is neither known beforehand nor loaded once more.
#if defined(__aarch64__)
#  define DLCORE_REGISTER(v) "+w"(v)
#else
#  define DLCORE_REGISTER(v) "+v"(v)
#endif

namespace dlcore {
namespace DLCORE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int64_t kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int64_t kVectorBytes = 32;
#else
constexpr int64_t kVectorBytes = 16;
#endif

template <class T>
constexpr int64_t kLanes = kVectorBytes / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr bool kIsFloat = sizeof(T) == 4;
template <class T>
constexpr T kInf = std::numeric_limits<T>::infinity();

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float Type __attribute__((vector_size(kVectorBytes)));
  typedef float Loose __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef int32_t Mask __attribute__((vector_size(kVectorBytes)));
  typedef uint32_t Bits __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<double> {
  typedef double Type __attribute__((vector_size(kVectorBytes)));
  typedef double Loose __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef int64_t Mask __attribute__((vector_size(kVectorBytes)));
  typedef uint64_t Bits __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vec = typename VectorOf<T>::Type;
template <class T>
using Mask = typename VectorOf<T>::Mask;  // all ones or all zeros per lane: mask ? a : b selects
template <class T>
using Bits = typename VectorOf<T>::Bits;  // a number's bits; sums wrap around

template <class T>
DLCORE_INLINE Vec<T> splat(T value) {
  return value - Vec<T>{};  // x - 0 keeps every x, -0 and NaN included
}

template <class T>
DLCORE_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::Loose*>(p);
}

template <class T>
DLCORE_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VectorOf<T>::Loose*>(p) = v;
}

#if defined(__AVX512F__)
DLCORE_INLINE __mmask16 first_lanes(int64_t n, float) {
  return static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<unsigned>(n)));
}
DLCORE_INLINE __mmask8 first_lanes(int64_t n, double) {
  return static_cast<__mmask8>(_bzhi_u32(0xff, static_cast<unsigned>(n)));
}
#elif defined(__AVX2__)
DLCORE_INLINE __m256i first_lanes(int64_t n, float) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
DLCORE_INLINE __m256i first_lanes(int64_t n, double) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
#endif

// The first n lanes (0 <= n <= lanes) from p, the rest from fill. Nothing past p + n is read.
template <class T>
DLCORE_INLINE Vec<T> load_part(const T* p, int64_t n, T fill) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>(_mm512_mask_loadu_ps(__m512(splat<T>(fill)), first_lanes(n, T()), p));
  else
    return Vec<T>(_mm512_mask_loadu_pd(__m512d(splat<T>(fill)), first_lanes(n, T()), p));
#elif defined(__AVX2__) && !defined(__SANITIZE_ADDRESS__)  // which cannot see what a mask lets pass
  if (n == kLanes<T>) return load<T>(p);
  const __m256i mask = first_lanes(n, T());
  if constexpr (sizeof(T) == 4)
    return Vec<T>(
        _mm256_blendv_ps(__m256(splat<T>(fill)), _mm256_maskload_ps(p, mask), __m256(mask)));
  else
    return Vec<T>(
        _mm256_blendv_pd(__m256d(splat<T>(fill)), _mm256_maskload_pd(p, mask), __m256d(mask)));
#else
  if (n == kLanes<T>) return load<T>(p);
  Vec<T> v = splat<T>(fill);
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}

template <class T>
DLCORE_INLINE void store_part(T* p, int64_t n, Vec<T> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, first_lanes(n, T()), __m512(v));
  else
    _mm512_mask_storeu_pd(p, first_lanes(n, T()), __m512d(v));
#elif defined(__AVX2__)  // halves: a masked store takes some 12 cycles and more on many CPUs
  if (n == kLanes<T>) return store<T>(p, v);
  if constexpr (sizeof(T) == 4) {
    __m128 rest = _mm256_castps256_ps128(__m256(v));
    if (n & 4) {
      _mm_storeu_ps(p, rest);
      rest = _mm256_extractf128_ps(__m256(v), 1);
      p += 4;
    }
    if (n & 2) {
      _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
      rest = _mm_movehl_ps(rest, rest);
      p += 2;
    }
    if (n & 1) _mm_store_ss(p, rest);
  } else {
    __m128d rest = _mm256_castpd256_pd128(__m256d(v));
    if (n & 2) {
      _mm_storeu_pd(p, rest);
      rest = _mm256_extractf128_pd(__m256d(v), 1);
      p += 2;
    }
    if (n & 1) _mm_store_sd(p, rest);
  }
#else
  if (n == kLanes<T>) return store<T>(p, v);
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// Past the caches: for outputs larger than the last level. p is aligned to the vector's size; the
// writer calls stream_fence() before it reports its chunk done.
template <class T>
DLCORE_INLINE void stream(T* p, Vec<T> v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(p), __m512i(v));
#elif defined(__AVX2__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), __m256i(v));
#elif defined(__x86_64__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), __m128i(v));
#else
  store<T>(p, v);
#endif
}

DLCORE_INLINE void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// x86's max and min: the second operand when either is NaN.
template <class T>
DLCORE_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>(_mm512_max_ps(__m512(a), __m512(b)));
  else
    return Vec<T>(_mm512_max_pd(__m512d(a), __m512d(b)));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>(_mm256_max_ps(__m256(a), __m256(b)));
  else
    return Vec<T>(_mm256_max_pd(__m256d(a), __m256d(b)));
#else
  return a > b ? a : b;
#endif
}

template <class T>
DLCORE_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>(_mm512_min_ps(__m512(a), __m512(b)));
  else
    return Vec<T>(_mm512_min_pd(__m512d(a), __m512d(b)));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return Vec<T>(_mm256_min_ps(__m256(a), __m256(b)));
  else
    return Vec<T>(_mm256_min_pd(__m256d(a), __m256d(b)));
#else
  return a < b ? a : b;
#endif
}

// Lists of lanes, for __builtin_shufflevector.
template <int... I>
struct Lanes {};
template <int N, int... I>
struct FirstLanes : FirstLanes<N - 1, N - 1, I...> {};
template <int... I>
struct FirstLanes<0, I...> {
  using Type = Lanes<I...>;
};
template <class T>
using AllLanes = typename FirstLanes<static_cast<int>(kLanes<T>)>::Type;

template <int kBy, class V, int... I>
DLCORE_INLINE V rotate(V v, Lanes<I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(v, v, ((I + kBy) % n)...);
}

// f across the lanes, in a fixed tree: the result in every lane. f takes and returns Vec<T>.
template <class T, class F, int kWidth = static_cast<int>(kLanes<T> / 2)>
DLCORE_INLINE Vec<T> fold_all(Vec<T> v, const F& f) {
  v = f(v, rotate<kWidth>(v, AllLanes<T>{}));
  if constexpr (kWidth > 1)
    return fold_all<T, F, kWidth / 2>(v, f);
  else
    return v;
}
template <class T, class F>
DLCORE_INLINE T fold(Vec<T> v, const F& f) {
  return fold_all<T>(v, f)[0];
}

template <class T>
DLCORE_INLINE Vec<T> sum_all(Vec<T> v) {
  return fold_all<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; });
}
template <class T>
DLCORE_INLINE Vec<T> max_all(Vec<T> v) {
  return fold_all<T>(v, [](Vec<T> a, Vec<T> b) { return max<T>(a, b); });
}
template <class T>
DLCORE_INLINE T hsum(Vec<T> v) {
  return sum_all<T>(v)[0];
}

DLCORE_INLINE int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}
DLCORE_INLINE int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}
DLCORE_INLINE int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
DLCORE_INLINE int64_t round_up(int64_t a, int64_t b) {
  return ceil_div(a, b) * b;
}

// body(begin, end) over [0, n) in chunks of `grain`, on the pool. The chunks depend on n and grain
// only, so grain must come from the shape, never from the number of threads.
template <class Body>
DLCORE_INLINE void parallel_for(int64_t n, int64_t grain, const Body& body) {
  struct Context {
    const Body* body;
    int64_t n, grain;
  } context{&body, n, grain};
  const auto chunk = [](void* pointer, int64_t i) {
    const Context& c = *static_cast<const Context*>(pointer);
    (*c.body)(i* c.grain, smaller((i + 1) * c.grain, c.n));
  };
  if (n <= grain) {
    if (n > 0) body(0, n);
    return;
  }
  parallel_run(ceil_div(n, grain), chunk, &context);
}

// A chunk below some 10 us is not worth another thread. `cost` is one item's, in multiply-adds of
// one lane (an element read from cache counts as one).
DLCORE_INLINE int64_t grain_for(int64_t cost) {
  return larger(1, (int64_t(1) << 16) / larger(cost, 1));
}

// Elements in a chunk of an elementwise kernel over n: at most some 10 us, so that a handful of
// chunks pay for the hand-over, all of about one size, whole lines of 64 bytes.
DLCORE_INLINE int64_t map_grain(int64_t n, int64_t cost) {
  const int64_t most = larger(int64_t(1) << 12, (int64_t(1) << 15) / larger(cost, 1));
  return n <= most ? most : round_up(ceil_div(n, ceil_div(n, most)), 64);
}

// Output at least this large goes past the caches when it is not one of the inputs.
constexpr int64_t kStreamBytes = int64_t(16) << 20;

// Inputs of map: an array, or one value for every element.
template <class T>
struct Each {
  const T* p;
  DLCORE_INLINE_MEMBER Vec<T> at(int64_t i) const { return load<T>(p + i); }
  DLCORE_INLINE_MEMBER Vec<T> part(int64_t i, int64_t n) const {
    return load_part<T>(p + i, n, T(0));
  }
  DLCORE_INLINE_MEMBER void fetch(int64_t i) const { __builtin_prefetch(p + i); }
};
template <class T>
struct Same {
  Vec<T> value;
  DLCORE_INLINE_MEMBER Vec<T> at(int64_t) const { return value; }
  DLCORE_INLINE_MEMBER Vec<T> part(int64_t, int64_t) const { return value; }
  DLCORE_INLINE_MEMBER void fetch(int64_t) const {}
};

// y[i] = f(inputs[i]...) on n elements; y may be any of the inputs. f takes and returns Vec<T>.
// For rows that share one stream_fence at their end: one to every row of 128 took 150 ns.
template <class T, class F, class... Inputs>
DLCORE_INLINE void map_unfenced(T* y, int64_t n, bool past_caches, const F& f, const Inputs&... x) {
  constexpr int64_t kStep = 4;  // independent vectors, to hide the latency of f
  // Past the caches: how far ahead inputs are asked for. With f of 20 instructions the CPU looks
  // too few lines ahead by itself: gelu at 0.77 of the copy without, 0.98 with.
  constexpr int64_t kAhead = 2048 / static_cast<int64_t>(sizeof(T));
  int64_t i = 0;
  if (past_caches) {
    const int64_t bytes_to_line = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(y) & 63);
    const int64_t to_line = smaller(bytes_to_line / static_cast<int64_t>(sizeof(T)), n);
    for (; i < to_line; i += kLanes<T>) {
      const int64_t part = smaller(kLanes<T>, to_line - i);
      store_part<T>(y + i, part, f(x.part(i, part)...));
    }
    i = to_line;
    for (; i + kStep * kLanes<T> <= n; i += kStep * kLanes<T>) {
      for (int64_t j = 0; j < kStep; ++j) (x.fetch(i + kAhead + j * kLanes<T>), ...);
      Vec<T> v[kStep];
      for (int64_t j = 0; j < kStep; ++j) v[j] = f(x.at(i + j * kLanes<T>)...);
      for (int64_t j = 0; j < kStep; ++j) stream<T>(y + i + j * kLanes<T>, v[j]);
    }
  } else {
    for (; i + kStep * kLanes<T> <= n; i += kStep * kLanes<T>) {
      Vec<T> v[kStep];
      for (int64_t j = 0; j < kStep; ++j) v[j] = f(x.at(i + j * kLanes<T>)...);
      for (int64_t j = 0; j < kStep; ++j) store<T>(y + i + j * kLanes<T>, v[j]);
    }
  }
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(y + i, f(x.at(i)...));
  if (i < n) store_part<T>(y + i, n - i, f(x.part(i, n - i)...));
}

template <class T, class F, class... Inputs>
DLCORE_INLINE void map_inputs(T* y, int64_t n, bool past_caches, const F& f, const Inputs&... x) {
  map_unfenced<T>(y, n, past_caches, f, x...);
  if (past_caches) stream_fence();
}

template <class T, class F>
DLCORE_INLINE void map_range(const T* x, T* y, int64_t n, bool past_caches, const F& f) {
  map_inputs<T>(y, n, past_caches, f, Each<T>{x});
}

// map_inputs for whole arrays, on the pool. `cost` is one element's, see grain_for.
template <class T, class F, class... Pointers>
DLCORE_INLINE void map(T* y, int64_t n, int64_t cost, const F& f, Pointers... x) {
  const bool past_caches = n * static_cast<int64_t>(sizeof(T)) >= kStreamBytes && ((x != y) && ...);
  parallel_for(n, map_grain(n, cost), [=](int64_t begin, int64_t end) {
    map_inputs<T>(y + begin, end - begin, past_caches, f, Each<T>{x + begin}...);
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
