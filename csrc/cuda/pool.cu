// The largest or smallest of each window, where it was found, its gradient, and unpooling. Averages
// are in pool_average.cu, whole planes in pool_global.cu. Bound by memory: neighbours in a row of y
// (backward, of x) are neighbours in a warp, and windows that overlap meet in L1.

#include "cuda/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Which element of its window an output came from: (depth * height + row) * width + column of the
// window, a byte while a window has at most 256 elements, else an int32.
inline bool in_bytes(const Pool& p) {
  return taps_of(p) <= 256;
}

struct NoTap {};

template <class T, class Tap>
struct Maxima {
  const T* x;
  T* y;
  Tap* taps;
  Pool p;
  T sign;

  template <class Index>
  __device__ void at(Index i) const {
    using I = Place<Index>;
    const Axes<I> axes(p);
    const Places<Index> o(i, p.d.out, p.h.out, p.w.out);
    const T* const plane = x + int64_t(o.outer) * (p.d.size * p.h.size * p.w.size);
    T best = T(0);
    I found = -1;
    axes.each_element(I(o.d), I(o.h), I(o.w), [&](I place, I tap) {
      const T v = plane[place] * sign;
      if (found >= 0 && !(v > best) && v == v) return;  // of NaNs the last
      best = v;
      found = tap;
    });
    y[i] = best * sign;
    if constexpr (!std::is_same_v<Tap, NoTap>) taps[i] = static_cast<Tap>(found);
  }
};

// y = the largest of each window, or the smallest, its first occurrence on ties; NaN wins. taps
// may be null.
template <class T>
void max_pool_forward(const T* x, T* y, void* taps, const Pool& p, bool lowest) {
  const T sign = lowest ? T(-1) : T(1);
  const int64_t n = p.planes * out_size(p), largest = largest_of(p);
  if (!taps)
    each(n, largest, Maxima<T, NoTap>{x, y, nullptr, p, sign});
  else if (in_bytes(p))
    each(n, largest, Maxima<T, uint8_t>{x, y, static_cast<uint8_t*>(taps), p, sign});
  else
    each(n, largest, Maxima<T, int32_t>{x, y, static_cast<int32_t*>(taps), p, sign});
}

template <class T, class Tap>
struct Winners {
  const T* dy;
  const Tap* taps;
  T* dx;
  Pool p;

  template <class Index>
  __device__ void at(Index i) const {
    using I = Place<Index>;
    const Axes<I> axes(p);
    const Places<Index> e(i, p.d.size, p.h.size, p.w.size);
    const int64_t plane = int64_t(e.outer) * (p.d.out * p.h.out * p.w.out);
    T sum = T(0);
    axes.each_window(I(e.d), I(e.h), I(e.w), [&](I place, I tap, I, I, I) {
      if (static_cast<I>(taps[plane + place]) == tap) sum += dy[plane + place];
    });
    dx[i] = sum;
  }
};

// dx = dy at the winners, added up in the order of the windows, 0 elsewhere.
template <class T>
void max_pool_backward(const T* dy, const void* taps, T* dx, const Pool& p) {
  const int64_t n = p.planes * in_size(p), largest = largest_of(p);
  if (in_bytes(p))
    each(n, largest, Winners<T, uint8_t>{dy, static_cast<const uint8_t*>(taps), dx, p});
  else
    each(n, largest, Winners<T, int32_t>{dy, static_cast<const int32_t*>(taps), dx, p});
}

template <class Tap>
struct Indices {
  const Tap* taps;
  int64_t* indices;
  Pool p;

  template <class Index>
  __device__ void at(Index i) const {
    using I = Place<Index>;
    const Axes<I> axes(p);
    const Places<Index> o(i, p.d.out, p.h.out, p.w.out);
    const I tap = static_cast<I>(taps[i]), row = tap / axes.w.kernel, slice = row / axes.h.kernel;
    const I z = axes.d.begin(I(o.d)) + slice * axes.d.dilation;
    const I h = axes.h.begin(I(o.h)) + (row - slice * axes.h.kernel) * axes.h.dilation;
    const I w = axes.w.begin(I(o.w)) + (tap - row * axes.w.kernel) * axes.w.dilation;
    indices[i] = (z * axes.h.size + h) * axes.w.size + w;
  }
};

// Winners as positions in the plane, PyTorch's indices.
template <class T>
void max_pool_indices(const void* taps, int64_t* indices, const Pool& p) {
  const int64_t n = p.planes * out_size(p), largest = largest_of(p);
  if (in_bytes(p))
    each(n, largest, Indices<uint8_t>{static_cast<const uint8_t*>(taps), indices, p});
  else
    each(n, largest, Indices<int32_t>{static_cast<const int32_t*>(taps), indices, p});
}

// -- unpooling --

using Claim = unsigned long long;

// The last element that goes to each place of y, counted from 1.
struct ClaimPlaces {
  const int64_t* indices;
  Claim* last;
  int64_t n, size;
  template <class Index>
  __device__ void at(Index i) const {
    const Index plane = i / static_cast<Index>(n);
    atomicMax(last + (int64_t(plane) * size + indices[i]), Claim(i) + 1);
  }
};
template <class T>
struct TakeClaimed {
  const T* x;
  const Claim* last;
  T* y;
  template <class Index>
  __device__ void at(Index i) const {
    const Claim from = last[i];
    y[i] = from ? x[from - 1] : T(0);
  }
};

// y[indices[i]] = x[i] in each plane, of n elements of x and `size` of y; 0 elsewhere. The last of
// equal indices stays: the largest number does not depend on the order of its atomics.
template <class T>
void max_unpool_forward(const T* x, const int64_t* indices, T* y, int64_t planes, int64_t n,
                        int64_t size) {
  const int64_t count = planes * size, largest = larger(count, planes * n);
  const Scratch<Claim> last(count);
  device_clear(last, static_cast<size_t>(count) * sizeof(Claim));
  each(planes * n, largest, ClaimPlaces{indices, last, n, size});
  each(count, largest, TakeClaimed<T>{x, last, y});
}

template <class T>
struct TakeBack {
  const T* dy;
  const int64_t* indices;
  T* dx;
  int64_t n, size;
  template <class Index>
  __device__ void at(Index i) const {
    dx[i] = dy[int64_t(i / static_cast<Index>(n)) * size + indices[i]];
  }
};
template <class T>
void max_unpool_backward(const T* dy, const int64_t* indices, T* dx, int64_t planes, int64_t n,
                         int64_t size) {
  each(planes * n, planes * size, TakeBack<T>{dy, indices, dx, n, size});
}

}  // namespace

DLCORE_CUDA_EXPORT(max_pool_forward)
DLCORE_CUDA_EXPORT(max_pool_backward)
DLCORE_CUDA_EXPORT(max_pool_indices)
DLCORE_CUDA_EXPORT(max_unpool_forward)
DLCORE_CUDA_EXPORT(max_unpool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
