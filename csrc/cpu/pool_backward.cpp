// The gradient of max pooling, where its maxima lay, and max unpooling.

#include "cpu/pool_taps.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// body(i, position): output i of a plane came from element `position` of that plane of x.
template <class Tap, class Body>
DLCORE_INLINE void each_winner(const Tap* taps, const Pool& p, const int64_t* offsets,
                               const Body& body) {
  int64_t i = 0;
  for (int64_t od = 0; od < p.d.out; ++od)
    for (int64_t oh = 0; oh < p.h.out; ++oh) {
      const int64_t row = (window_begin(p.d, od) * p.h.size + window_begin(p.h, oh)) * p.w.size;
      if (adaptive(p.w)) {
        for (int64_t ow = 0; ow < p.w.out; ++ow, ++i)
          body(i, row + window_begin(p.w, ow) + offsets[taps[i]]);
      } else {
        const int64_t first = i;
        const int64_t start = row - p.w.low - first * p.w.stride;
        for (; i < first + p.w.out; ++i) body(i, start + i * p.w.stride + offsets[taps[i]]);
      }
    }
}

template <class Body>
DLCORE_INLINE void each_plane_with_offsets(const Pool& p, int64_t cost, const Body& body) {
  parallel_for(p.planes, grain_for(cost), [=, &p](int64_t begin, int64_t end) {
    Scratch scratch(taps_of(p) * 8);
    int64_t* offsets = scratch.take<int64_t>(taps_of(p));
    int64_t* to = offsets;
    for (int64_t q = 0; q < p.d.kernel; ++q)
      for (int64_t r = 0; r < p.h.kernel; ++r)
        for (int64_t s = 0; s < p.w.kernel; ++s)
          *to++ = (q * p.d.dilation * p.h.size + r * p.h.dilation) * p.w.size + s * p.w.dilation;
    for (int64_t plane = begin; plane < end; ++plane) body(plane, offsets);
  });
}

// Whether no element is in two windows, so that none is added to twice.
DLCORE_INLINE bool apart(const PoolAxis& a) {
  return !adaptive(a) && (a.out == 1 || (a.kernel - 1) * a.dilation < a.stride);
}

// dx = dy at the winners, added up, 0 elsewhere. A scalar loop: asking, for 8 elements of dx at
// once, each window that holds them takes twice the instructions for windows of 3x3 at a stride
// of 2.
template <class T>
void max_pool_backward(const T* dy, const void* taps, T* dx, const Pool& p) {
  if (halves(p)) return halves_backward<T>(dy, static_cast<const uint8_t*>(taps), dx, p);
  const int64_t size = in_size(p), outputs = out_size(p);
  const bool once = apart(p.d) && apart(p.h) && apart(p.w);
  with_taps(taps, p, [&](const auto* t) {
    each_plane_with_offsets(p, size + 4 * outputs, [=, &p](int64_t plane, const int64_t* offsets) {
      T* to = dx + plane * size;
      const T* from = dy + plane * outputs;
      fill_row<T>(T(0), size, to);
      if (once)
        each_winner(t + plane * outputs, p, offsets,
                    [=](int64_t i, int64_t position) { to[position] = from[i]; });
      else
        each_winner(t + plane * outputs, p, offsets,
                    [=](int64_t i, int64_t position) { to[position] += from[i]; });
    });
  });
}

// Winners as positions in the plane, PyTorch's indices.
template <class T>
void max_pool_indices(const void* taps, int64_t* indices, const Pool& p) {
  const int64_t outputs = out_size(p);
  with_taps(taps, p, [&](const auto* t) {
    each_plane_with_offsets(p, 4 * outputs, [=, &p](int64_t plane, const int64_t* offsets) {
      each_winner(t + plane * outputs, p, offsets,
                  [=](int64_t i, int64_t position) { indices[plane * outputs + i] = position; });
    });
  });
}

// y[indices[i]] = x[i] in each plane, of n elements of x and `size` of y; 0 elsewhere. The last of
// equal indices stays.
template <class T>
void max_unpool_forward(const T* x, const int64_t* indices, T* y, int64_t planes, int64_t n,
                        int64_t size) {
  parallel_for(planes, grain_for(size + 4 * n), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      fill_row<T>(T(0), size, y + plane * size);
      for (int64_t i = plane * n; i < (plane + 1) * n; ++i) y[plane * size + indices[i]] = x[i];
    }
  });
}

template <class T>
void max_unpool_backward(const T* dy, const int64_t* indices, T* dx, int64_t planes, int64_t n,
                         int64_t size) {
  parallel_for(planes, grain_for(4 * n), [=](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t i = plane * n; i < (plane + 1) * n; ++i) dx[i] = dy[plane * size + indices[i]];
  });
}

}  // namespace

DLCORE_EXPORT(max_pool_backward)
DLCORE_EXPORT(max_pool_indices)
DLCORE_EXPORT(max_unpool_forward)
DLCORE_EXPORT(max_unpool_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
