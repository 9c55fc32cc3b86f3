// Max pooling over windows of 2x2 that tile the plane: every second pooling in practice.
//
// Two rows of x make one row of y, in registers: four shuffles part the even columns from the odd.
#pragma once

#include "cpu/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Whether the windows are 2x2, side by side and inside of x.
DLCORE_INLINE bool halves(const Pool& p) {
  const auto pairs = [](const PoolAxis& a) {
    return a.kernel == 2 && a.stride == 2 && a.dilation == 1 && a.low == 0 && 2 * a.out <= a.size;
  };
  return p.d.size == 1 && p.d.kernel == 1 && p.d.out == 1 && pairs(p.h) && pairs(p.w);
}

// The later of equal values loses, NaN beats all: PyTorch's rule.
template <class T>
DLCORE_INLINE Mask<T> beats(Vec<T> v, Vec<T> best) {
  return (v > best) | (v != v);
}

template <class T>
struct Bytes {
  typedef uint8_t Type __attribute__((vector_size(kLanes<T>)));
};

// Taps as bytes: the first n lanes.
template <class T>
DLCORE_INLINE void store_bytes(uint8_t* taps, int64_t n, Mask<T> v) {
  const typename Bytes<T>::Type narrow = __builtin_convertvector(v, typename Bytes<T>::Type);
  if (n >= kLanes<T>) {
    std::memcpy(taps, &narrow, sizeof narrow);
    return;
  }
#if defined(__AVX512F__)
  __m128i wide{};
  std::memcpy(&wide, &narrow, sizeof narrow);
  _mm_mask_storeu_epi8(taps, first_lanes(n, float()), wide);
#else
  for (int64_t i = 0; i < n; ++i) taps[i] = narrow[i];
#endif
}

// Bytes to lanes. GCC 12 makes a scalar loop of __builtin_convertvector here.
template <class T>
DLCORE_INLINE Mask<T> widen(typename Bytes<T>::Type narrow) {
#if defined(__x86_64__)
  __m128i v{};
  std::memcpy(&v, &narrow, sizeof narrow);
#endif
#if defined(__AVX512F__)
  return sizeof(T) == 4 ? Mask<T>(_mm512_cvtepu8_epi32(v)) : Mask<T>(_mm512_cvtepu8_epi64(v));
#elif defined(__AVX2__)
  return sizeof(T) == 4 ? Mask<T>(_mm256_cvtepu8_epi32(v)) : Mask<T>(_mm256_cvtepu8_epi64(v));
#elif defined(__x86_64__)
  return sizeof(T) == 4 ? Mask<T>(_mm_cvtepu8_epi32(v)) : Mask<T>(_mm_cvtepu8_epi64(v));
#else
  return __builtin_convertvector(narrow, Mask<T>);
#endif
}

template <class T>
DLCORE_INLINE Mask<T> load_bytes(const uint8_t* taps, int64_t n) {
  typename Bytes<T>::Type narrow{};
  if (n >= kLanes<T>) {
    std::memcpy(&narrow, taps, sizeof narrow);
  } else {
#if defined(__AVX512F__)
    const __m128i wide = _mm_maskz_loadu_epi8(first_lanes(n, float()), taps);
    std::memcpy(&narrow, &wide, sizeof narrow);
#else
    for (int64_t i = 0; i < n; ++i) narrow[i] = taps[i];
#endif
  }
  return widen<T>(narrow);
}

// The first 2 n elements from x as n even and n odd ones, mixed; 0 < n <= lanes.
template <class T>
DLCORE_INLINE void load_pairs(const T* x, int64_t n, Vec<T>* even, Vec<T>* odd) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> a, b{};
  if (n >= L) {
    a = load<T>(x);
    b = load<T>(x + L);
  } else {
    a = load_part<T>(x, smaller(2 * n, L), T(0));
    if (2 * n > L) b = load_part<T>(x + L, 2 * n - L, T(0));
  }
  *even = even_mixed<T>(a, b);
  *odd = odd_mixed<T>(a, b);
}

template <class T>
DLCORE_INLINE void store_pairs(T* x, int64_t n, Vec<T> even, Vec<T> odd) {
  constexpr int64_t L = kLanes<T>;
  const Vec<T> a = zip_low_of(even, odd, AllLanes<T>{});
  const Vec<T> b = zip_high_of(even, odd, AllLanes<T>{});
  if (n >= L) {
    store<T>(x, a);
    store<T>(x + L, b);
  } else {
    store_part<T>(x, smaller(2 * n, L), a);
    if (2 * n > L) store_part<T>(x + L, 2 * n - L, b);
  }
}

// body(j, n) for the n outputs from j of a row, whole vectors where the row has one: the last
// overlaps its neighbour then.
template <class T, class Body>
DLCORE_INLINE void each_vector(int64_t size, const Body& body) {
  constexpr int64_t L = kLanes<T>;
  if (size < L) return body(0, size);
  for (int64_t j = 0; j + L <= size; j += L) body(j, L);
  if (size % L) body(size - L, L);
}

// A number that the sign bit turns around where the smallest is sought: x ^ sign.
template <class T>
DLCORE_INLINE Bits<T> sign_of(bool lowest) {
  return to_bits<T>(splat<T>(lowest ? T(-0.0) : T(0)));
}
template <class T>
DLCORE_INLINE Vec<T> turned(Vec<T> v, Bits<T> sign) {
  return from_bits<T>(to_bits<T>(v) ^ sign);
}

// A row of n elements in whole vectors: more of x is read, up to `end`, and more is written.
template <class T>
DLCORE_INLINE void copy_on(const T* x, int64_t n, const T* end, T* to) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t j = 0; j < n; j += L)
    store<T>(to + j, load_lanes(x + j, x + j + L <= end ? L : smaller(L, n - j)));
}

// How rows are taken: as they lie, or, where the last part of a vector would be much of a row,
// several of them as one.
struct Halves {
  int64_t rows, room;
  template <class T>
  static Halves of(const Pool& p, T) {
    constexpr int64_t L = kLanes<T>;
    const int64_t part = p.w.out % L;
    const bool short_rows = p.w.out < L || (p.w.out < 2 * L && part > 0 && part < L / 2);
    const int64_t rows = short_rows ? larger(1, 512 / p.w.out) : 1;
    return {rows, short_rows ? 4 * rows * p.w.out + 4 * kLanes<T> : 0};
  }
};

// body(at, n, v) for n outputs from `at` on; v: the four vectors of x that they are made of, whose
// order in_order puts right.
template <class T, class Body>
DLCORE_INLINE void each_half(const Pool& p, const T* x, const Body& body) {
  const int64_t height = p.h.size, width = p.w.size, out_h = p.h.out, out_w = p.w.out;
  const Halves cut = Halves::of(p, T());
  const T* const end = x + p.planes * height * width;
  const int64_t grain = round_up(grain_for(2 * width + 2 * kLanes<T>), cut.rows);
  parallel_for(p.planes * out_h, grain, [=, &p](int64_t begin, int64_t last) {
    Scratch scratch(cut.room * static_cast<int64_t>(sizeof(T)));
    T* const copies = scratch.take<T>(cut.room);
    OutputRow at(p, begin);
    for (int64_t row = begin; row < last; row += cut.rows) {
      const int64_t n = smaller(cut.rows, last - row);
      const T *top = copies, *bottom = copies + 2 * n * out_w + kLanes<T>;
      if (cut.room == 0) {
        top = x + (at.plane * height + at.h * 2) * width;
        bottom = top + width;
        at.next(p);
      }
      for (int64_t i = 0; cut.room > 0 && i < n; ++i, at.next(p)) {
        const T* from = x + (at.plane * height + at.h * 2) * width;
        copy_on(from, 2 * out_w, end, const_cast<T*>(top) + i * 2 * out_w);
        copy_on(from + width, 2 * out_w, end, const_cast<T*>(bottom) + i * 2 * out_w);
      }
      each_vector<T>(n * out_w, [=](int64_t j, int64_t lanes) __attribute__((always_inline)) {
        Vec<T> v[4];
        load_pairs<T>(top + 2 * j, lanes, &v[0], &v[1]);
        load_pairs<T>(bottom + 2 * j, lanes, &v[2], &v[3]);
        body(row * out_w + j, lanes, v);
      });
    }
  });
}

// The way back: body(at, n, to) gives the four vectors of dx. What no window holds is 0.
template <class T, class Body>
DLCORE_INLINE void each_half_back(const Pool& p, T* dx, const Body& body) {
  const int64_t size = in_size(p), width = p.w.size, out_h = p.h.out, out_w = p.w.out;
  const Halves cut = Halves::of(p, T());
  parallel_for(p.planes, grain_for(2 * size), [=](int64_t begin, int64_t end) {
    Scratch scratch(cut.room * static_cast<int64_t>(sizeof(T)));
    T* const copies = scratch.take<T>(cut.room);
    for (int64_t plane = begin; plane < end; ++plane) {
      for (int64_t oh = 0; oh < out_h; oh += cut.rows) {
        const int64_t n = smaller(cut.rows, out_h - oh);
        T* const to = dx + plane * size + 2 * oh * width;
        T* const top = cut.room ? copies : to;
        T* const bottom = cut.room ? copies + 2 * n * out_w + kLanes<T> : to + width;
        each_vector<T>(n * out_w, [=](int64_t j, int64_t lanes) __attribute__((always_inline)) {
          Vec<T> v[4];
          body((plane * out_h + oh) * out_w + j, lanes, v);
          store_pairs<T>(top + 2 * j, lanes, v[0], v[1]);
          store_pairs<T>(bottom + 2 * j, lanes, v[2], v[3]);
        });
        for (int64_t i = 0; i < 2 * n; ++i) {
          if (cut.room) {
            const T* from = (i % 2 ? bottom : top) + i / 2 * 2 * out_w;
            copy_row<T>(from, 2 * out_w, to + i * width);
          }
          if (width > 2 * out_w) fill_row<T>(T(0), width - 2 * out_w, to + i * width + 2 * out_w);
        }
      }
      fill_row<T>(T(0), size - 2 * out_h * width, dx + plane * size + 2 * out_h * width);
    }
  });
}

// taps as in max_pool_forward; may be null.
template <class T>
DLCORE_INLINE void halves_forward(const T* x, T* y, uint8_t* taps, const Pool& p, Bits<T> sign) {
  using Index = decltype(Mask<T>{}[0] + 0);
  each_half<T>(p, x, [=](int64_t at, int64_t n, Vec<T>* v) __attribute__((always_inline)) {
    for (int i = 0; i < 4; ++i) v[i] = turned<T>(v[i], sign);
    const Mask<T> right = beats<T>(v[1], v[0]), lower_right = beats<T>(v[3], v[2]);
    const Vec<T> upper = right ? v[1] : v[0], lower = lower_right ? v[3] : v[2];
    const Mask<T> down = beats<T>(lower, upper);
    store_lanes(y + at, n, in_order(turned<T>(down ? lower : upper, sign)));
    if (taps) {
      const Mask<T> zero{}, one = zero + Index(1), two = zero + Index(2);
      const Mask<T> tap = down ? (lower_right ? one + two : two) : (right ? one : zero);
      store_bytes<T>(taps + at, n, Mask<T>(in_order(Vec<T>(tap))));
    }
  });
}

template <class T>
DLCORE_INLINE void halves_backward(const T* dy, const uint8_t* taps, T* dx, const Pool& p) {
  using Index = decltype(Mask<T>{}[0] + 0);
  each_half_back<T>(p, dx, [=](int64_t at, int64_t n, Vec<T>* to) __attribute__((always_inline)) {
    const Vec<T> g = load_lanes(dy + at, n), zero{};
    const Mask<T> tap = load_bytes<T>(taps + at, n), base{};
    for (int i = 0; i < 4; ++i) to[i] = tap == base + Index(i) ? g : zero;
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
