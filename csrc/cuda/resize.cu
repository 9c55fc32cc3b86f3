// Resizing of depth, height and width: nearest, linear, cubic, area, antialiased; forward,
// backward. An element is a weighted sum along each axis, and so is its gradient, with the same
// taps seen from the other side: both gather, in one pass over memory, and know their taps from
// small tables.

#include "cuda/each.h"
#include "cuda/resize_taps.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T, bool kOwners>
__global__ void __launch_bounds__(kBlock)
    taps_kernel(FindTaps<T> depth, FindTaps<T> height, FindTaps<T> width) {
  const int64_t begin = grid_thread(), step = grid_threads();
  const auto fill = [=](const FindTaps<T>& taps) {
    if constexpr (kOwners)
      for (int64_t i = begin; i < taps.size; i += step) taps.find_owners(i);
    else
      for (int64_t o = begin; o < taps.out; o += step) taps.find(o);
  };
  fill(depth);
  fill(height);
  fill(width);
}

// The taps of all axes, with their memory.
template <class T>
struct AllTaps {
  FindTaps<T> depth, height, width;
  Scratch<int64_t> integers;
  Scratch<T> numbers;

  AllTaps(const Resize& p, bool owners)
      : depth{Taps<T>(p, p.depth)},
        height{Taps<T>(p, p.height)},
        width{Taps<T>(p, p.width)},
        integers(depth.integers() + height.integers() + width.integers()),
        numbers(depth.numbers() + height.numbers() + width.numbers()) {
    int64_t* integer = integers;
    T* number = numbers;
    depth.place_in(integer, number);
    height.place_in(integer, number);
    width.place_in(integer, number);
    run<false>(larger(depth.out, larger(height.out, width.out)));
    if (owners) run<true>(larger(depth.size, larger(height.size, width.size)));
  }

 private:
  template <bool kOwners>
  void run(int64_t n) {
    constexpr int kFew = 64;  // rows of the tables are few: over all processors
    launch(taps_kernel<T, kOwners>, Size{blocks_for(n, kFew), kFew}, depth, height, width);
  }
};

template <class T>
struct Nearest {
  const T* x;
  T* y;
  Taps<T> d, h, w;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> o(i, d.out, h.out, w.out);
    y[i] = x[((o.outer * d.size + d.begin[o.d]) * h.size + h.begin[o.h]) * w.size + w.begin[o.w]];
  }
};

template <class T>
struct Resized {
  const T* x;
  T* y;
  Taps<T> d, h, w;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> o(i, d.out, h.out, w.out);
    const T* const plane = x + int64_t(o.outer) * d.size * h.size * w.size;
    const int64_t z = d.begin[o.d], deep = d.end[o.d] - z;
    const int64_t top = h.begin[o.h], tall = h.end[o.h] - top;
    const int64_t left = w.begin[o.w], wide = w.end[o.w] - left;
    T sum = T(0);
    for (int64_t q = 0; q < deep; ++q) {
      T slice = T(0);
      for (int64_t r = 0; r < tall; ++r) {
        const T* const row = plane + (d.inside(z + q) * h.size + h.inside(top + r)) * w.size;
        T line = T(0);
        for (int64_t s = 0; s < wide; ++s)
          line = math::fma(w.weight_of(o.w, s, wide), row[w.inside(left + s)], line);
        slice = math::fma(h.weight_of(o.h, r, tall), line, slice);
      }
      sum = math::fma(d.weight_of(o.d, q, deep), slice, sum);
    }
    y[i] = sum;
  }
};

// y = x resized. Nearest copies elements as they are; a NaN spreads to all that it is a tap of.
template <class T>
void resize_forward(const T* x, T* y, const Resize& p) {
  const AllTaps<T> taps(p, false);
  const int64_t in = p.planes * p.depth.size * p.height.size * p.width.size;
  const int64_t out = p.planes * p.depth.out * p.height.out * p.width.out;
  if (is_nearest(p.mode))
    each(out, in, Nearest<T>{x, y, taps.depth, taps.height, taps.width});
  else
    each(out, in, Resized<T>{x, y, taps.depth, taps.height, taps.width});
}

template <class T>
struct ResizedBack {
  const T* dy;
  T* dx;
  Taps<T> d, h, w;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> e(i, d.size, h.size, w.size);
    const T* const plane = dy + int64_t(e.outer) * d.out * h.out * w.out;
    const int64_t d_end = d.high[e.d], top = h.low[e.h], h_end = h.high[e.h];
    const int64_t left = w.low[e.w], w_end = w.high[e.w];
    T sum = T(0);
    for (int64_t od = d.low[e.d]; od < d_end; ++od) {
      T slice = T(0);
      for (int64_t oh = top; oh < h_end; ++oh) {
        const T* const row = plane + (od * h.out + oh) * w.out;
        T line = T(0);
        for (int64_t ow = left; ow < w_end; ++ow) line = math::fma(w.share(e.w, ow), row[ow], line);
        slice = math::fma(h.share(e.h, oh), line, slice);
      }
      sum = math::fma(d.share(e.d, od), slice, sum);
    }
    dx[i] = sum;
  }
};

// dx = the gradient of x.
template <class T>
void resize_backward(const T* dy, T* dx, const Resize& p) {
  const AllTaps<T> taps(p, true);
  const int64_t in = p.planes * p.depth.size * p.height.size * p.width.size;
  const int64_t out = p.planes * p.depth.out * p.height.out * p.width.out;
  each(in, out, ResizedBack<T>{dy, dx, taps.depth, taps.height, taps.width});
}

}  // namespace

DLCORE_CUDA_EXPORT(resize_forward)
DLCORE_CUDA_EXPORT(resize_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
