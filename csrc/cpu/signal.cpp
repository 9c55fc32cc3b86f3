// What stands around a Fourier transform: frames cut out of a signal under a window, their sum
// where they overlap (the adjoint of cutting), and the power of complex numbers. Bound by memory. A
// signal is summed up in blocks, each block's frames in their order.

#include "kernels/signal.h"

#include "cpu/rows.h"
#include "cpu/softmax.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// y[t] = window * x[t hop ...].
template <class T>
void frame(const T* x, const T* window, T* y, const FrameShape& s) {
  parallel_for(s.batch * s.frames, grain_for(2 * s.size), [=, &s](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      map_unfenced<T>(
          y + r * s.size, s.size, false, [](Vec<T> v, Vec<T> w) { return v * w; },
          Each<T>{x + r / s.frames * s.length + r % s.frames * s.hop}, Each<T>{window});
  });
}

// y[p] = sum over the frames t that reach p of window[i] frames[t][i], i = p - t hop. 0 where none
// does.
template <class T>
void overlap_add(const T* frames, const T* window, T* y, const FrameShape& s) {
  constexpr int64_t kBlock = 4096;  // elements: 16 KiB of floats
  const int64_t blocks = ceil_div(s.length, kBlock);
  const int64_t cost = 2 * kBlock * larger(1, s.size / s.hop);
  parallel_for(s.batch * blocks, grain_for(cost), [=, &s](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t from = item % blocks * kBlock, to = smaller(from + kBlock, s.length);
      T* const out = y + item / blocks * s.length;
      std::memset(out + from, 0, static_cast<size_t>(to - from) * sizeof(T));
      const int64_t first = from < s.size ? 0 : (from - s.size) / s.hop + 1;
      for (int64_t t = first; t < s.frames && t * s.hop < to; ++t) {
        const int64_t low = larger(from, t * s.hop), high = smaller(to, t * s.hop + s.size);
        const Each<T> sum{out + low}, w{window + low - t * s.hop};
        if (frames)
          map_unfenced<T>(
              out + low, high - low, false,
              [](Vec<T> v, Vec<T> weight, Vec<T> f) { return v + weight * f; }, sum, w,
              Each<T>{frames + (item / blocks * s.frames + t) * s.size + low - t * s.hop});
        else
          map_unfenced<T>(
              out + low, high - low, false, [](Vec<T> v, Vec<T> weight) { return v + weight; }, sum,
              w);
      }
    }
  });
}

// body(i, lanes, low, high): elements i on, `low` lanes of 2 `lanes` in the first vector of pairs.
template <class T, class Body>
DLCORE_INLINE void for_pairs(int64_t n, const Body& body) {
  parallel_for(n, map_grain(n, 4), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes<T>) {
      const int64_t lanes = smaller(kLanes<T>, end - i), low = smaller(kLanes<T>, 2 * lanes);
      body(i, lanes, low, 2 * lanes - low);
    }
  });
}

// y = re^2 + im^2, or its root.
template <class T>
void pair_power_forward(const T* x, T* y, int64_t n, bool root) {
  for_pairs<T>(n, [=](int64_t i, int64_t lanes, int64_t low, int64_t high) {
    const Vec<T> a = load_lanes<T>(x + 2 * i, low, T(0));
    const Vec<T> b = load_lanes<T>(x + 2 * i + low, high, T(0));
    const Vec<T> re = even_of(a, b, AllLanes<T>{}), im = odd_of(a, b, AllLanes<T>{});
    const Vec<T> power = re * re + im * im;
    store_lanes<T>(y + i, lanes, root ? sqrt<T>(power) : power);
  });
}

// dx = 2 dy x, or dy x / y: 0 where y is 0.
template <class T>
void pair_power_backward(const T* x, const T* y, const T* dy, T* dx, int64_t n, bool root) {
  for_pairs<T>(n, [=](int64_t i, int64_t lanes, int64_t low, int64_t high) {
    Vec<T> slope = load_lanes<T>(dy + i, lanes, T(0));
    if (root) {
      const Vec<T> size = load_lanes<T>(y + i, lanes, T(1));
      slope = size == T(0) ? Vec<T>{} : slope / size;
    } else {
      slope = slope + slope;
    }
    const Vec<T> a = load_lanes<T>(x + 2 * i, low, T(0));
    const Vec<T> b = load_lanes<T>(x + 2 * i + low, high, T(0));
    store_lanes<T>(dx + 2 * i, low, a * zip_low_of(slope, slope, AllLanes<T>{}));
    store_lanes<T>(dx + 2 * i + low, high, b * zip_high_of(slope, slope, AllLanes<T>{}));
  });
}

}  // namespace

DLCORE_EXPORT(frame)
DLCORE_EXPORT(overlap_add)
DLCORE_EXPORT(pair_power_forward)
DLCORE_EXPORT(pair_power_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
