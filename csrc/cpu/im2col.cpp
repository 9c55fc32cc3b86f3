// im2col and col2im as ops of their own: all windows of x as columns, and the adjoint. The
// convolutions do not call them: they pack windows straight into the panels of the product.

#include "cpu/rows.h"
#include "cpu/simd.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// The outputs o whose element o * stride + shift lies in [0, size): begin <= o < end.
struct Range {
  int64_t begin, end;
};
DLCORE_INLINE Range inside(int64_t shift, int64_t size, int64_t stride, int64_t out) {
  const int64_t begin = shift < 0 ? smaller(ceil_div(-shift, stride), out) : 0;
  const int64_t end = shift >= size ? 0 : smaller(out, (size - 1 - shift) / stride + 1);
  return {begin, larger(begin, end)};
}

template <class T>
DLCORE_INLINE void take_every(const T* x, int64_t stride, int64_t n, T* y) {
  if (stride == 1) return copy_row<T>(x, n, y);
  int64_t i = 0;
  if (stride == 2)
    for (; i + kLanes<T> < n; i += kLanes<T>)  // one output short of the end: odd lanes stay inside
      store<T>(y + i, even_of(load<T>(x + 2 * i), load<T>(x + 2 * i + kLanes<T>), AllLanes<T>{}));
  for (; i < n; ++i) y[i] = x[i * stride];
}

template <class T>
DLCORE_INLINE void add_every(const T* y, int64_t stride, int64_t n, T* x) {
  int64_t i = 0;
  if (stride == 1)
    for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(x + i, load<T>(x + i) + load<T>(y + i));
  for (; i < n; ++i) x[i * stride] += y[i];
}

// Calls body(column row of `plane`, vertical shift, horizontal shift) for each tap.
template <class Body>
DLCORE_INLINE void each_tap(const Conv2d& c, int64_t plane, const Body& body) {
  for (int64_t r = 0; r < c.kernel_h; ++r)
    for (int64_t s = 0; s < c.kernel_w; ++s)
      body(((plane * c.kernel_h + r) * c.kernel_w + s) * c.out_h * c.out_w,
           r * c.dilation_h - c.pad_top, s * c.dilation_w - c.pad_left);
}

// cols (batch, channels * kernel_h * kernel_w, out_h * out_w) = every window of x, 0 outside.
template <class T>
void im2col(const T* x, T* cols, const Conv2d& c) {
  const int64_t cost = c.kernel_h * c.kernel_w * c.out_h * c.out_w;
  parallel_for(c.batch * c.channels, grain_for(cost), [=](int64_t first, int64_t last) {
    for (int64_t plane = first; plane < last; ++plane)
      each_tap(c, plane, [=](int64_t at, int64_t down, int64_t right) {
        const Range w = inside(right, c.width, c.stride_w, c.out_w);
        const Range h = inside(down, c.height, c.stride_h, c.out_h);
        T* out = cols + at;
        fill_row<T>(T(0), h.begin * c.out_w, out);
        for (int64_t oh = h.begin; oh < h.end; ++oh) {
          const T* row = x + (plane * c.height + oh * c.stride_h + down) * c.width;
          T* to = out + oh * c.out_w;
          fill_row<T>(T(0), w.begin, to);
          take_every<T>(row + w.begin * c.stride_w + right, c.stride_w, w.end - w.begin,
                        to + w.begin);
          fill_row<T>(T(0), c.out_w - w.end, to + w.end);
        }
        fill_row<T>(T(0), (c.out_h - h.end) * c.out_w, out + h.end * c.out_w);
      });
  });
}

// x = the sum of the windows that cover each element, taps in row-major order.
template <class T>
void col2im(const T* cols, T* x, const Conv2d& c) {
  const int64_t cost = c.kernel_h * c.kernel_w * c.out_h * c.out_w + c.height * c.width;
  parallel_for(c.batch * c.channels, grain_for(cost), [=](int64_t first, int64_t last) {
    for (int64_t plane = first; plane < last; ++plane) {
      fill_row<T>(T(0), c.height * c.width, x + plane * c.height * c.width);
      each_tap(c, plane, [=](int64_t at, int64_t down, int64_t right) {
        const Range w = inside(right, c.width, c.stride_w, c.out_w);
        const Range h = inside(down, c.height, c.stride_h, c.out_h);
        for (int64_t oh = h.begin; oh < h.end; ++oh)
          add_every<T>(cols + at + oh * c.out_w + w.begin, c.stride_w, w.end - w.begin,
                       x + (plane * c.height + oh * c.stride_h + down) * c.width +
                           w.begin * c.stride_w + right);
      });
    }
  });
}

}  // namespace

DLCORE_EXPORT(im2col)
DLCORE_EXPORT(col2im)

}  // namespace DLCORE_ISA
}  // namespace dlcore
