// Max pooling, forward and backward; average and global pooling are in pool_average.cpp.
//
// Bound by memory: one read of x, one write of y and, for backward, one byte per output.

#include "cpu/pool_halves.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T, class Tap>
DLCORE_INLINE void store_taps(Tap* taps, int64_t n, Mask<T> v) {
  typedef Tap Narrow __attribute__((vector_size(kLanes<T> * sizeof(Tap))));
  const Narrow narrow = __builtin_convertvector(v, Narrow);
  if (n >= kLanes<T>)
    std::memcpy(taps, &narrow, sizeof narrow);
  else
    for (int64_t i = 0; i < n; ++i) taps[i] = narrow[i];
}

template <class T>
DLCORE_INLINE void max_forward(const T* x, T* y, const Pool2d& p) {
  const Geometry<T> g(p);
  const int64_t cost = g.input_rows * (p.width + p.kernel_w * p.out_w);
  parallel_for(p.planes * g.blocks, grain_for(cost), [=](int64_t begin, int64_t end) {
    Scratch scratch((g.split_size(p) + g.input_rows * g.width) * sizeof(T) + 8 * p.kernel_w + 192);
    T* split = scratch.take<T>(g.split_size(p));
    T* rows = scratch.take<T>(g.input_rows * g.width);
    int64_t* offsets = scratch.take<int64_t>(p.kernel_w);
    tap_offsets(p, g, offsets);
    fill_row<T>(-kInf<T>, g.split_size(p), split);
    const auto row_pass = [=](const T* in, int64_t i) {
      for (int64_t j = 0; j < g.width; j += kLanes<T>) {
        Vec<T> best = load<T>(in + j);
        for (int64_t s = 1; s < p.kernel_w; ++s) {
          const Vec<T> v = load<T>(in + offsets[s] + j);
          best = beats<T>(v, best) ? v : best;
        }
        store<T>(rows + i * g.width + j, best);
      }
    };
    const auto column_pass = [=](int64_t plane, int64_t oh, int64_t i) {
      const int64_t start = oh * p.stride_h - p.pad_top;
      const int64_t r0 = first_tap(start, p.dilation_h);
      const int64_t r1 = end_tap(start, p.height, p.kernel_h, p.dilation_h);
      T* out = y + (plane * p.out_h + oh) * p.out_w;
      for (int64_t j = 0; j < p.out_w; j += kLanes<T>) {
        Vec<T> best = load<T>(rows + (i + r0 * p.dilation_h) * g.width + j);
        for (int64_t r = r0 + 1; r < r1; ++r) {
          const Vec<T> v = load<T>(rows + (i + r * p.dilation_h) * g.width + j);
          best = beats<T>(v, best) ? v : best;
        }
        store_part<T>(out + j, smaller(kLanes<T>, p.out_w - j), best);
      }
    };
    for (int64_t item = begin; item < end; ++item)
      pool_block<T>(x, p, g, item, split, row_pass, column_pass);
  });
}

// As max_forward, keeping which tap of the window won: r * kernel_w + s.
template <class T, class Tap>
DLCORE_INLINE void max_forward_taps(const T* x, T* y, Tap* taps, const Pool2d& p) {
  using Index = decltype(Mask<T>{}[0] + 0);
  const Geometry<T> g(p);
  const int64_t cost = g.input_rows * (p.width + 2 * p.kernel_w * p.out_w);
  parallel_for(p.planes * g.blocks, grain_for(cost), [=](int64_t begin, int64_t end) {
    Scratch scratch((g.split_size(p) + (2 * g.input_rows + 1) * g.width) * sizeof(T) +
                    8 * p.kernel_w + 320);
    T* split = scratch.take<T>(g.split_size(p));
    T* rows = scratch.take<T>(g.input_rows * g.width);
    Mask<T>* row_taps = scratch.take<Mask<T>>(g.input_rows * g.width / kLanes<T>);
    Mask<T>* first = scratch.take<Mask<T>>(g.width / kLanes<T>);
    int64_t* offsets = scratch.take<int64_t>(p.kernel_w);
    tap_offsets(p, g, offsets);
    fill_row<T>(-kInf<T>, g.split_size(p), split);
    for (int64_t j = 0; j < g.width; ++j)
      first[j / kLanes<T>][j % kLanes<T>] =
          static_cast<Index>(first_tap(j * p.stride_w - p.pad_left, p.dilation_w));

    const auto row_pass = [=](const T* in, int64_t i) {
      for (int64_t j = 0; j < g.width; j += kLanes<T>) {
        Vec<T> best = splat<T>(-kInf<T>);
        Mask<T> tap = first[j / kLanes<T>];
        for (int64_t s = 0; s < p.kernel_w; ++s) {
          const Vec<T> v = load<T>(in + offsets[s] + j);
          const Mask<T> wins = beats<T>(v, best);
          best = wins ? v : best;
          tap = wins ? Mask<T>{} + static_cast<Index>(s) : tap;
        }
        store<T>(rows + i * g.width + j, best);
        row_taps[(i * g.width + j) / kLanes<T>] = tap;
      }
    };
    const auto column_pass = [=](int64_t plane, int64_t oh, int64_t i) {
      const int64_t start = oh * p.stride_h - p.pad_top;
      const int64_t r0 = first_tap(start, p.dilation_h);
      const int64_t r1 = end_tap(start, p.height, p.kernel_h, p.dilation_h);
      const int64_t at = (plane * p.out_h + oh) * p.out_w;
      for (int64_t j = 0; j < p.out_w; j += kLanes<T>) {
        Vec<T> best = splat<T>(-kInf<T>);
        Mask<T> tap{};
        for (int64_t r = r0; r < r1; ++r) {
          const int64_t from = (i + r * p.dilation_h) * g.width + j;
          const Vec<T> v = load<T>(rows + from);
          const Mask<T> whole = row_taps[from / kLanes<T>] + static_cast<Index>(r * p.kernel_w);
          const Mask<T> wins = r == r0 ? Mask<T>(best == best) : beats<T>(v, best);
          best = wins ? v : best;
          tap = wins ? whole : tap;
        }
        const int64_t n = smaller(kLanes<T>, p.out_w - j);
        store_part<T>(y + at + j, n, best);
        store_taps<T, Tap>(taps + at + j, n, tap);
      }
    };
    for (int64_t item = begin; item < end; ++item)
      pool_block<T>(x, p, g, item, split, row_pass, column_pass);
  });
}

// Calls f with the taps as what they are: bytes while a window has at most 256.
template <class Pointer, class F>
DLCORE_INLINE void with_taps(Pointer taps, const Pool2d& p, const F& f) {
  constexpr bool read_only = !requires(Pointer q) { static_cast<void*>(q); };
  if (p.kernel_h * p.kernel_w <= 256) {
    if constexpr (read_only)
      f(static_cast<const uint8_t*>(taps));
    else
      f(static_cast<uint8_t*>(taps));
  } else {
    if constexpr (read_only)
      f(static_cast<const int32_t*>(taps));
    else
      f(static_cast<int32_t*>(taps));
  }
}

// y = the largest of each window, its first occurrence on ties; NaN wins. taps (may be null) gets
// the place in the window: uint8 while a window has at most 256 elements, else int32.
template <class T>
void max_pool2d_forward(const T* x, T* y, void* taps, const Pool2d& p) {
  if (halves(p)) return halves_forward<T>(x, y, static_cast<uint8_t*>(taps), p);
  if (!taps) return max_forward<T>(x, y, p);
  with_taps(taps, p, [&](auto* t) { max_forward_taps<T>(x, y, t, p); });
}

// body(i, position): output i of a plane came from element `position` of that plane of x.
template <class Tap, class Body>
DLCORE_INLINE void each_winner(const Tap* taps, const Pool2d& p, const int64_t* offsets,
                               const Body& body) {
  for (int64_t oh = 0; oh < p.out_h; ++oh) {
    const int64_t start = (oh * p.stride_h - p.pad_top) * p.width - p.pad_left;
    for (int64_t ow = 0; ow < p.out_w; ++ow) {
      const int64_t i = oh * p.out_w + ow;
      body(i, start + ow * p.stride_w + offsets[taps[i]]);
    }
  }
}

template <class Body>
DLCORE_INLINE void each_plane_with_offsets(const Pool2d& p, int64_t cost, const Body& body) {
  parallel_for(p.planes, grain_for(cost), [=](int64_t begin, int64_t end) {
    Scratch scratch(p.kernel_h * p.kernel_w * sizeof(int64_t));
    int64_t* offsets = scratch.take<int64_t>(p.kernel_h * p.kernel_w);
    for (int64_t t = 0; t < p.kernel_h * p.kernel_w; ++t)
      offsets[t] = t / p.kernel_w * p.dilation_h * p.width + t % p.kernel_w * p.dilation_w;
    for (int64_t plane = begin; plane < end; ++plane) body(plane, offsets);
  });
}

// dx = dy at the winners, added up, 0 elsewhere.
template <class T>
void max_pool2d_backward(const T* dy, const void* taps, T* dx, const Pool2d& p) {
  if (halves(p)) return halves_backward<T>(dy, static_cast<const uint8_t*>(taps), dx, p);
  const int64_t in_size = p.height * p.width, out_size = p.out_h * p.out_w;
  with_taps(taps, p, [&](const auto* t) {
    each_plane_with_offsets(p, in_size + 4 * out_size, [=](int64_t plane, const int64_t* offsets) {
      T* to = dx + plane * in_size;
      const T* from = dy + plane * out_size;
      fill_row<T>(T(0), in_size, to);
      each_winner(t + plane * out_size, p, offsets,
                  [=](int64_t i, int64_t position) { to[position] += from[i]; });
    });
  });
}

// Winners as positions in the plane, PyTorch's indices.
template <class T>
void max_pool2d_indices(const void* taps, int64_t* indices, const Pool2d& p) {
  const int64_t out_size = p.out_h * p.out_w;
  with_taps(taps, p, [&](const auto* t) {
    each_plane_with_offsets(p, 4 * out_size, [=](int64_t plane, const int64_t* offsets) {
      each_winner(t + plane * out_size, p, offsets,
                  [=](int64_t i, int64_t position) { indices[plane * out_size + i] = position; });
    });
  });
}

}  // namespace

DLCORE_EXPORT(max_pool2d_forward)
DLCORE_EXPORT(max_pool2d_backward)
DLCORE_EXPORT(max_pool2d_indices)

}  // namespace DLCORE_ISA
}  // namespace dlcore
