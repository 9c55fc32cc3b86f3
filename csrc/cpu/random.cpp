// Random fills. The numbers are the same bits on every instruction set: this file is compiled
// without contraction to FMA, and its log, sine and cosine use only operations that IEEE 754 rounds
// correctly. Uniform is bound by Philox (about 1 cycle a float), normal by the polynomials.

#include "kernels/random.h"

#include "cpu/philox.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kGroupsPerChunk = 256;  // 16384 words, some 10 us

template <class T>
using Int = decltype(Mask<T>{});  // signed integers of T's width

// Calls fill(group, out) for each group of `per_group` numbers; the last, partial one by way of
// the stack.
template <class Item, class Fill>
DLCORE_INLINE void fill_groups(Item* out, int64_t n, int64_t per_group, const Fill& fill) {
  parallel_for(ceil_div(n, per_group), kGroupsPerChunk, [=](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const int64_t left = n - group * per_group;
      if (left >= per_group) {
        fill(group, out + group * per_group);
      } else {
        Item part[kGroupWords];
        fill(group, part);
        std::memcpy(out + group * per_group, part, static_cast<size_t>(left) * sizeof(Item));
      }
    }
  });
}

template <class T>
void random_bits(uint32_t* out, int64_t n, uint64_t seed, uint64_t offset, uint64_t stream) {
  const Source source = make_source(seed, offset, stream);
  fill_groups(out, n, kGroupWords, [&source](int64_t group, uint32_t* to) {
    group_words32(source, group, [=](int64_t j, const U32* words) {
      for (int w = 0; w < 4; ++w) std::memcpy(to + w * kGroupCounters + j, &words[w], sizeof(U32));
    });
  });
}

// The 32 bits of each lane as a double, exactly: the mantissa of 2^52 + w.
DLCORE_INLINE Vec<double> exact_double(U64 w) {
  return Vec<double>((w & 0xffffffffu) | 0x4330000000000000u) - 0x1p52;
}

// [0, 1) in steps of 2^-53.
DLCORE_INLINE Vec<double> unit_double(U64 high, U64 low) {
  return exact_double(high) * 0x1p-32 + exact_double((low & 0xffffffffu) >> 11) * 0x1p-53;
}

// Calls put(at, u) with uniform numbers of [0, 1): 24 bits in float, 53 in double.
template <class T, class Put>
DLCORE_INLINE void group_uniform(const Source& source, int64_t group, const Put& put) {
  if constexpr (sizeof(T) == 4) {
    group_words32(source, group, [=](int64_t j, const U32* words) {
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w)
        put(w * kGroupCounters + j,
            __builtin_convertvector(I32(words[w] >> 8), Vec<float>) * 0x1p-24f);
    });
  } else {
    group_words64(source, group, [=](int64_t j, const U64* words) {
      put(j, unit_double(words[0], words[1]));
      put(kGroupCounters + j, unit_double(words[2], words[3]));
    });
  }
}

template <class T>
constexpr int64_t kPerGroup = kGroupWords * 4 / static_cast<int64_t>(sizeof(T));

// out = low + (high - low) u.  Rounding may give high itself when the interval is not [0, 1).
template <class T>
void random_uniform(T* out, int64_t n, T low, T high, uint64_t seed, uint64_t offset) {
  const Source source = make_source(seed, offset, 0);
  const T width = high - low;
  fill_groups(out, n, kPerGroup<T>, [=, &source](int64_t group, T* to) {
    group_uniform<T>(source, group,
                     [=](int64_t at, Vec<T> u) { store<T>(to + at, low + width * u); });
  });
}

// out = 1 where u < p, else 0. p has n elements, or one for all when p_step is 0.
template <class T>
void random_bernoulli(const T* p, int64_t p_step, T* out, int64_t n, uint64_t seed,
                      uint64_t offset) {
  random_uniform<T>(out, n, T(0), T(1), seed, offset);
  parallel_for(n, kGroupsPerChunk * kPerGroup<T>, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = out[i] < p[i * p_step] ? T(1) : T(0);
  });
}

template <class T, int kTerms>
DLCORE_INLINE Vec<T> polynomial(Vec<T> x, const T (&coefficient)[kTerms]) {
  Vec<T> sum = splat<T>(coefficient[kTerms - 1]);
#pragma GCC unroll 8
  for (int i = kTerms - 2; i >= 0; --i) sum = sum * x + coefficient[i];
  return sum;
}

// log(m) = 2 s + s z P(z), s = (m - 1) / (m + 1), z = s^2, m in [sqrt(1/2), sqrt(2)): minimax fits,
// relative error 9e-10 and 2e-18. sin(t) = t + t z P(z) and cos(t) = 1 - z/2 + z^2 P(z), z = t^2,
// |t| <= pi/4: 4e-9 and 4e-18.
template <class T>
struct Fit;
template <>
struct Fit<float> {
  static constexpr float log[] = {0.66666776381303522f, 0.39977541617257282f, 0.29871726748887981f};
  static constexpr float sine[] = {-0.16666654943663570f, 0.0083321781436887658f,
                                   -0.00019517298662335392f};
  static constexpr float cosine[] = {0.04166664686659972f, -0.0013887367522941069f,
                                     0.000024438452338342610f};
  static constexpr int mantissa_bits = 23;
  static constexpr int32_t sqrt_half = 0x3f3504f3;
};
template <>
struct Fit<double> {
  static constexpr double log[] = {0.66666666666667344087, 0.39999999999414695141,
                                   0.28571428742385106306, 0.22222198573351982822,
                                   0.18183564320816843461, 0.15314050623490360759,
                                   0.14795949478500218846};
  static constexpr double sine[] = {-0.16666666666666632068,    0.0083333333333224244163,
                                    -0.00019841269829816885774, 2.7557313695210084319e-6,
                                    -2.5050758651334688862e-8,  1.589682784039507699e-10};
  static constexpr double cosine[] = {0.041666666666666599557,   -0.0013888888888874138753,
                                      0.00002480158728949190452, -2.7557314355264276653e-7,
                                      2.0875723687417290084e-9,  -1.1359670016111731956e-11};
  static constexpr int mantissa_bits = 52;
  static constexpr int64_t sqrt_half = 0x3fe6a09e667f3bcd;
};

DLCORE_INLINE Vec<float> square_root(Vec<float> x) {
#if defined(__AVX512F__)
  return Vec<float>(_mm512_sqrt_ps(__m512(x)));
#elif defined(__AVX2__)
  return Vec<float>(_mm256_sqrt_ps(__m256(x)));
#elif defined(__x86_64__)
  return Vec<float>(_mm_sqrt_ps(__m128(x)));
#else
  for (int64_t i = 0; i < kLanes<float>; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

DLCORE_INLINE Vec<double> square_root(Vec<double> x) {
#if defined(__AVX512F__)
  return Vec<double>(_mm512_sqrt_pd(__m512d(x)));
#elif defined(__AVX2__)
  return Vec<double>(_mm256_sqrt_pd(__m256d(x)));
#elif defined(__x86_64__)
  return Vec<double>(_mm_sqrt_pd(__m128d(x)));
#else
  for (int64_t i = 0; i < kLanes<double>; ++i) x[i] = __builtin_sqrt(x[i]);
  return x;
#endif
}

// sqrt(-2 log(x 2^-bits)) for normal, positive x <= 2^bits.
template <class T>
DLCORE_INLINE Vec<T> radius(Vec<T> x, T bits) {
  const Int<T> exponent = (Int<T>(x) - Fit<T>::sqrt_half) >> Fit<T>::mantissa_bits;
  const Vec<T> m = Vec<T>(Int<T>(x) - (exponent << Fit<T>::mantissa_bits));
  const Vec<T> s = (m - T(1)) / (m + T(1)), z = s * s;
  const Vec<T> k = __builtin_convertvector(exponent, Vec<T>) - bits;
  const Vec<T> log =
      k * T(0.69314718055994530942) + (s + s + s * z * polynomial<T>(z, Fit<T>::log));
  return square_root(log * T(-2));
}

// Two independent normal numbers of radius r at the angle quadrant pi/2 + t, |t| <= pi/4.
template <class T>
struct Pair {
  Vec<T> first, second;
};
template <class T>
DLCORE_INLINE Pair<T> at_angle(Vec<T> r, Int<T> quadrant, Vec<T> t) {
  const Vec<T> z = t * t;
  const Vec<T> sine = t + t * z * polynomial<T>(z, Fit<T>::sine);
  const Vec<T> cosine = T(1) - z * T(0.5) + z * z * polynomial<T>(z, Fit<T>::cosine);
  const Mask<T> odd = (quadrant & 1) != 0, lower = (quadrant & 2) != 0,
                left = ((quadrant + 1) & 2) != 0;
  const Vec<T> x = odd ? sine : cosine, y = odd ? cosine : sine;
  return {r * (left ? -x : x), r * (lower ? -y : y)};
}

constexpr double kHalfPi = 1.57079632679489661923;

// Box and Muller. In float: 31 bits for the radius (|z| up to 6.6), 32 for the angle.
DLCORE_INLINE Pair<float> normal_pair(U32 a, U32 b) {
  const Vec<float> x = __builtin_convertvector(I32(a >> 1), Vec<float>) + 0.5f;
  const I32 quadrant = I32((b + 0x20000000u) >> 30);
  const Vec<float> t = __builtin_convertvector(I32(b << 2), Vec<float>) * float(kHalfPi * 0x1p-32);
  return at_angle<float>(radius<float>(x, 31.0f), quadrant, t);
}

// In double: 53 bits for the radius (|z| up to 8.6), 2 + 50 for the angle.
DLCORE_INLINE Pair<double> normal_pair(const U64* words) {
  const Vec<double> x = unit_double(words[0], words[1]) + 0x1p-54;
  const U64 turned = (words[2] & 0xffffffffu) + 0x20000000u;
  const Int<double> quadrant = Int<double>(turned >> 30);
  const Vec<double> fine = exact_double((words[3] & 0xffffffffu) >> 12) * 0x1p-20;
  const Vec<double> t = (exact_double(turned & 0x3fffffffu) - 0x1p29 + fine) * (kHalfPi * 0x1p-30);
  return at_angle<double>(radius<double>(x, 0.0), quadrant, t);
}

// out = mean + scale z, z normal.
template <class T>
void random_normal(T* out, int64_t n, T mean, T scale, uint64_t seed, uint64_t offset) {
  const Source source = make_source(seed, offset, 0);
  fill_groups(out, n, kPerGroup<T>, [=, &source](int64_t group, T* to) {
    const auto put = [=](int64_t at, Pair<T> z) {
      store<T>(to + at, mean + scale * z.first);
      store<T>(to + at + kGroupCounters, mean + scale * z.second);
    };
    if constexpr (sizeof(T) == 4) {
      group_words32(source, group, [=](int64_t j, const U32* words) {
        put(j, normal_pair(words[0], words[1]));
        put(2 * kGroupCounters + j, normal_pair(words[2], words[3]));
      });
    } else {
      group_words64(source, group,
                    [=](int64_t j, const U64* words) { put(j, normal_pair(words)); });
    }
  });
}

}  // namespace

DLCORE_EXPORT(random_bits)
DLCORE_EXPORT(random_uniform)
DLCORE_EXPORT(random_bernoulli)
DLCORE_EXPORT(random_normal)

}  // namespace DLCORE_ISA
}  // namespace dlcore
