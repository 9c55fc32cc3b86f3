// What the poolings share: the elements of a window along one axis, and the windows of an element.
#pragma once

#include <initializer_list>

#include "cuda/each.h"
#include "kernels/pool.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

inline int64_t in_size(const Pool& p) {
  return p.d.size * p.h.size * p.w.size;
}
inline int64_t out_size(const Pool& p) {
  return p.d.out * p.h.out * p.w.out;
}
inline int64_t taps_of(const Pool& p) {
  return p.d.kernel * p.h.kernel * p.w.kernel;
}
// The largest number that the arithmetic of places meets.
inline int64_t largest_of(const Pool& p) {
  int64_t n = p.planes * larger(in_size(p), out_size(p));
  for (const PoolAxis* a : {&p.d, &p.h, &p.w})
    if (a->stride == 0) n = larger(n, (a->out + 1) * (a->size + 1));
  return n;
}

// A size or a place, of as many bits as Index but with a sign: 32 where all arrays are small.
template <class Index>
using Place = std::conditional_t<sizeof(Index) == 4, int, int64_t>;

// One axis with the integers of a kernel.
template <class I>
struct Axis {
  I size, out, kernel, stride, dilation, low;

  __host__ __device__ explicit Axis(const PoolAxis& a)
      : size(I(a.size)),
        out(I(a.out)),
        kernel(I(a.kernel)),
        stride(I(a.stride)),
        dilation(I(a.dilation)),
        low(I(a.low)) {}

  // Where output o's window begins: before the input, if the padding does.
  __device__ I begin(I o) const { return stride == 0 ? o * size / out : o * stride - low; }
  // The taps [first, end) of output o that lie inside.
  __device__ I first_tap(I start) const {
    return start >= 0 ? 0 : dilation == 1 ? -start : (-start + dilation - 1) / dilation;
  }
  __device__ I end_tap(I o, I start) const {
    if (stride == 0) return ((o + 1) * size + out - 1) / out - start;
    const I left = size - start, all = dilation == 1 ? left : (left + dilation - 1) / dilation;
    return all < kernel ? all : kernel;
  }

  // The outputs [first, end) whose windows may hold element i.
  __device__ I first_window(I i) const {
    if (stride == 0) return i * out / size;
    const I after = i + low - (kernel - 1) * dilation;
    return after <= 0 ? 0 : (after + stride - 1) / stride;
  }
  __device__ I end_window(I i) const {
    if (stride == 0) return ((i + 1) * out + size - 1) / size;
    const I end = (i + low) / stride + 1;
    return end < out ? end : out;
  }
  // Element i's tap in the window of output o; -1: it falls between two.
  __device__ I tap(I i, I o) const {
    const I away = i - begin(o);
    if (dilation == 1) return away;
    return away % dilation == 0 ? away / dilation : -1;
  }
};

template <class I>
struct Axes {
  Axis<I> d, h, w;
  __device__ explicit Axes(const Pool& p) : d(p.d), h(p.h), w(p.w) {}

  // body(place in the plane of x, tap) for the elements of output (od, oh, ow), in their order.
  template <class Body>
  __device__ void each_element(I od, I oh, I ow, const Body& body) const {
    const I d0 = d.begin(od), h0 = h.begin(oh), w0 = w.begin(ow);
    const I d_end = d.end_tap(od, d0), h_end = h.end_tap(oh, h0), w_end = w.end_tap(ow, w0);
    const I h_first = h.first_tap(h0), w_first = w.first_tap(w0);
    for (I q = d.first_tap(d0); q < d_end; ++q)
      for (I r = h_first; r < h_end; ++r) {
        const I row = ((d0 + q * d.dilation) * h.size + h0 + r * h.dilation) * w.size + w0;
        const I taps = (q * h.kernel + r) * w.kernel;
        for (I s = w_first; s < w_end; ++s) body(row + s * w.dilation, taps + s);
      }
  }
  // body(place in the plane of y, tap, od, oh, ow) for the windows that hold element (z, i, j).
  template <class Body>
  __device__ void each_window(I z, I i, I j, const Body& body) const {
    const I d_end = d.end_window(z), h_end = h.end_window(i), w_end = w.end_window(j);
    const I h_first = h.first_window(i), w_first = w.first_window(j);
    for (I od = d.first_window(z); od < d_end; ++od) {
      const I q = d.tap(z, od);
      if (q < 0) continue;
      for (I oh = h_first; oh < h_end; ++oh) {
        const I r = h.tap(i, oh);
        if (r < 0) continue;
        for (I ow = w_first; ow < w_end; ++ow) {
          const I s = w.tap(j, ow);
          if (s < 0) continue;
          body((od * h.out + oh) * w.out + ow, (q * h.kernel + r) * w.kernel + s, od, oh, ow);
        }
      }
    }
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
