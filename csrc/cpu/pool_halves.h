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

// The first 2 n elements from x as n even and n odd ones; 0 < n <= lanes.
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
  *even = even_of(a, b, AllLanes<T>{});
  *odd = odd_of(a, b, AllLanes<T>{});
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

// taps as in max_pool_forward; may be null.
template <class T>
DLCORE_INLINE void halves_forward(const T* x, T* y, uint8_t* taps, const Pool& p, bool lowest) {
  using Index = decltype(Mask<T>{}[0] + 0);
  const int64_t height = p.h.size, width = p.w.size, out_h = p.h.out, out_w = p.w.out;
  const int64_t cost = 2 * width + 2 * kLanes<T>;
  const Bits<T> sign = sign_of<T>(lowest);
  parallel_for(p.planes * out_h, grain_for(cost), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* top = x + (row / out_h * height + row % out_h * 2) * width;
      const T* bottom = top + width;
      each_vector<T>(out_w, [=](int64_t j, int64_t n) {
        Vec<T> v[4];
        load_pairs<T>(top + 2 * j, n, &v[0], &v[1]);
        load_pairs<T>(bottom + 2 * j, n, &v[2], &v[3]);
        for (Vec<T>& each : v) each = turned<T>(each, sign);
        const Mask<T> right = beats<T>(v[1], v[0]), lower_right = beats<T>(v[3], v[2]);
        const Vec<T> upper = right ? v[1] : v[0], lower = lower_right ? v[3] : v[2];
        const Mask<T> down = beats<T>(lower, upper);
        const int64_t at = row * out_w + j;
        store_lanes(y + at, n, turned<T>(down ? lower : upper, sign));
        if (taps) {
          const Mask<T> zero{}, one = zero + Index(1), two = zero + Index(2);
          const Mask<T> tap = down ? (lower_right ? one + two : two) : (right ? one : zero);
          store_bytes<T>(taps + at, n, tap);
        }
      });
    }
  });
}

template <class T>
DLCORE_INLINE void halves_backward(const T* dy, const uint8_t* taps, T* dx, const Pool& p) {
  using Index = decltype(Mask<T>{}[0] + 0);
  const int64_t size = in_size(p), width = p.w.size, out_h = p.h.out, out_w = p.w.out;
  parallel_for(p.planes, grain_for(2 * size), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      for (int64_t oh = 0; oh < out_h; ++oh) {
        T* top = dx + plane * size + 2 * oh * width;
        T* bottom = top + width;
        const int64_t at = (plane * out_h + oh) * out_w;
        each_vector<T>(out_w, [=](int64_t j, int64_t n) {
          const Vec<T> g = load_lanes(dy + at + j, n), zero{};
          const Mask<T> tap = load_bytes<T>(taps + at + j, n), base{};
          store_pairs<T>(top + 2 * j, n, tap == base ? g : zero, tap == base + Index(1) ? g : zero);
          store_pairs<T>(bottom + 2 * j, n, tap == base + Index(2) ? g : zero,
                         tap == base + Index(3) ? g : zero);
        });
        if (width > 2 * out_w) {
          fill_row<T>(T(0), width - 2 * out_w, top + 2 * out_w);
          fill_row<T>(T(0), width - 2 * out_w, bottom + 2 * out_w);
        }
      }
      fill_row<T>(T(0), size - 2 * out_h * width, dx + plane * size + 2 * out_h * width);
    }
  });
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
