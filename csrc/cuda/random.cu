// Random fills, the same bits as on the CPU: built without contraction to FMA, and the logarithm,
// sine and cosine of csrc/cpu/random.cpp, whose operations IEEE 754 rounds correctly.

#include "cuda/math.h"
#include "cuda/philox.h"
#include "kernels/random.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
constexpr int64_t kPerGroup = kGroupWords * 4 / static_cast<int64_t>(sizeof(T));

template <class V>
struct Write {
  V* out;
  __device__ void operator()(int64_t i, V v) const { out[i] = v; }
};

template <class T>
void random_bits(uint32_t* out, int64_t n, uint64_t seed, uint64_t offset, uint64_t stream) {
  for_philox({seed, offset, stream}, n, kGroupWords, EachWord(), Write<uint32_t>{out});
}

// [0, 1) in steps of 2^-53.
__device__ inline double unit_double(uint32_t high, uint32_t low) {
  return high * 0x1p-32 + (low >> 11) * 0x1p-53;
}

// Uniform numbers of [0, 1): 24 bits in float, 53 in double.
template <class T>
struct EachUniform {
  template <class F>
  __device__ void operator()(const Words& words, const F& f) const {
    if constexpr (sizeof(T) == 4) {
#pragma unroll
      for (int w = 0; w < 4; ++w)
        f(w * kGroupCounters, static_cast<float>(words.word[w] >> 8) * 0x1p-24f);
    } else {
      f(0, unit_double(words.word[0], words.word[1]));
      f(kGroupCounters, unit_double(words.word[2], words.word[3]));
    }
  }
};

// out = low + (high - low) u.  Rounding may give high itself when the interval is not [0, 1).
template <class T>
void random_uniform(T* out, int64_t n, T low, T high, uint64_t seed, uint64_t offset) {
  const T width = high - low;
  for_philox({seed, offset, 0}, n, kPerGroup<T>, EachUniform<T>(),
             [=] __device__(int64_t i, T u) { out[i] = low + width * u; });
}

// out = 1 where u < p, else 0. p has n elements, or one for all when p_step is 0.
template <class T>
void random_bernoulli(const T* p, int64_t p_step, T* out, int64_t n, uint64_t seed,
                      uint64_t offset) {
  for_philox({seed, offset, 0}, n, kPerGroup<T>, EachUniform<T>(),
             [=] __device__(int64_t i, T u) { out[i] = u < p[i * p_step] ? T(1) : T(0); });
}

// -- normal: Box and Muller, with the fits of csrc/cpu/random.cpp --

template <class T, class... C>
__device__ T polynomial(T x, T first, C... rest) {
  if constexpr (sizeof...(C) == 0)
    return first;
  else
    return polynomial(x, rest...) * x + first;
}

template <class T>
__device__ T log_fit(T z) {
  if constexpr (sizeof(T) == 4)
    return polynomial(z, 0.66666776381303522f, 0.39977541617257282f, 0.29871726748887981f);
  else
    return polynomial(z, 0.66666666666667344087, 0.39999999999414695141, 0.28571428742385106306,
                      0.22222198573351982822, 0.18183564320816843461, 0.15314050623490360759,
                      0.14795949478500218846);
}
template <class T>
__device__ T sine_fit(T z) {
  if constexpr (sizeof(T) == 4)
    return polynomial(z, -0.16666654943663570f, 0.0083321781436887658f, -0.00019517298662335392f);
  else
    return polynomial(z, -0.16666666666666632068, 0.0083333333333224244163,
                      -0.00019841269829816885774, 2.7557313695210084319e-6,
                      -2.5050758651334688862e-8, 1.589682784039507699e-10);
}
template <class T>
__device__ T cosine_fit(T z) {
  if constexpr (sizeof(T) == 4)
    return polynomial(z, 0.04166664686659972f, -0.0013887367522941069f, 0.000024438452338342610f);
  else
    return polynomial(z, 0.041666666666666599557, -0.0013888888888874138753,
                      0.00002480158728949190452, -2.7557314355264276653e-7,
                      2.0875723687417290084e-9, -1.1359670016111731956e-11);
}

// sqrt(-2 log(x 2^-bits)) for normal, positive x <= 2^bits.
template <class T>
__device__ T radius(T x, T bits) {
  T m, exponent;
  if constexpr (sizeof(T) == 4) {
    const int e = (__float_as_int(x) - 0x3f3504f3) >> 23;
    m = __int_as_float(__float_as_int(x) - e * (1 << 23));
    exponent = static_cast<T>(e);
  } else {
    const long long e = (__double_as_longlong(x) - 0x3fe6a09e667f3bcdLL) >> 52;
    m = __longlong_as_double(__double_as_longlong(x) - e * (1LL << 52));
    exponent = static_cast<T>(e);
  }
  const T s = (m - T(1)) / (m + T(1)), z = s * s;
  const T k = exponent - bits;
  const T log = k * T(0.69314718055994530942) + (s + s + s * z * log_fit(z));
  return math::sqrt(log * T(-2));
}

// Two independent numbers of radius r at the angle quadrant pi/2 + t, |t| <= pi/4.
template <class T, class F>
__device__ void put_pair(T r, uint32_t quadrant, T t, const F& f) {
  const T z = t * t;
  const T sine = t + t * z * sine_fit(z);
  const T cosine = T(1) - z * T(0.5) + z * z * cosine_fit(z);
  const T x = quadrant & 1 ? sine : cosine, y = quadrant & 1 ? cosine : sine;
  f(0, r * ((quadrant + 1) & 2 ? -x : x));
  f(kGroupCounters, r * (quadrant & 2 ? -y : y));
}

constexpr double kHalfPi = 1.57079632679489661923;

template <class T>
struct EachNormal {
  template <class F>
  __device__ void operator()(const Words& words, const F& f) const {
    if constexpr (sizeof(T) == 4) {  // 31 bits for the radius (|z| up to 6.6), 32 for the angle
#pragma unroll
      for (int w = 0; w < 4; w += 2) {
        const uint32_t a = words.word[w], b = words.word[w + 1];
        const T x = static_cast<float>(static_cast<int>(a >> 1)) + 0.5f;
        const T t = static_cast<float>(static_cast<int>(b << 2)) * float(kHalfPi * 0x1p-32);
        put_pair(radius(x, 31.0f), (b + 0x20000000u) >> 30, t,
                 [&](int64_t at, T z) { f(w * kGroupCounters + at, z); });
      }
    } else {  // 53 bits for the radius (|z| up to 8.6), 2 + 50 for the angle
      const T x = unit_double(words.word[0], words.word[1]) + 0x1p-54;
      const uint32_t turned = words.word[2] + 0x20000000u;
      const T fine = (words.word[3] >> 12) * 0x1p-20;
      const T t = ((turned & 0x3fffffffu) - 0x1p29 + fine) * (kHalfPi * 0x1p-30);
      put_pair(radius(x, 0.0), turned >> 30, t, f);
    }
  }
};

// out = mean + scale z, z normal.
template <class T>
void random_normal(T* out, int64_t n, T mean, T scale, uint64_t seed, uint64_t offset) {
  for_philox({seed, offset, 0}, n, kPerGroup<T>, EachNormal<T>(),
             [=] __device__(int64_t i, T z) { out[i] = mean + scale * z; });
}

}  // namespace

DLCORE_CUDA_EXPORT(random_bits)
DLCORE_CUDA_EXPORT(random_uniform)
DLCORE_CUDA_EXPORT(random_bernoulli)
DLCORE_CUDA_EXPORT(random_normal)

}  // namespace DLCORE_ISA
}  // namespace dlcore
