// im2col and col2im as ops of their own: all windows of x as columns, and the adjoint. The
// convolutions do not call them: they gather windows straight into the tiles of the product.

#include "cuda/each.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Columns {
  const T* x;
  T* cols;
  Conv2d c;
  template <class Index>
  __device__ void at(Index i) const {
    // (plane, kernel_h, kernel_w, outputs)
    const Index outputs = static_cast<Index>(c.out_h * c.out_w);
    const Places<Index> p(i, c.kernel_h, c.kernel_w, outputs);
    const Index oh = p.w / static_cast<Index>(c.out_w);
    const int64_t h = oh * c.stride_h + p.d * c.dilation_h - c.pad_top;
    const int64_t w =
        (p.w - oh * static_cast<Index>(c.out_w)) * c.stride_w + p.h * c.dilation_w - c.pad_left;
    const bool inside = h >= 0 && h < c.height && w >= 0 && w < c.width;
    cols[i] = inside ? x[(p.outer * c.height + h) * c.width + w] : T(0);
  }
};

// cols (batch, channels * kernel_h * kernel_w, out_h * out_w) = every window of x, 0 outside.
template <class T>
void im2col(const T* x, T* cols, const Conv2d& c) {
  const int64_t planes = c.batch * c.channels;
  each(planes * c.kernel_h * c.kernel_w * c.out_h * c.out_w, planes * c.height * c.width,
       Columns<T>{x, cols, c});
}

template <class T>
struct BackFromColumns {
  const T* cols;
  T* x;
  Conv2d c;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> p(i, 1, c.height, c.width);
    T sum = T(0);
    for (int64_t r = 0; r < c.kernel_h; ++r) {
      const int64_t down = p.h + c.pad_top - r * c.dilation_h;
      if (down < 0 || down % c.stride_h != 0 || down / c.stride_h >= c.out_h) continue;
      for (int64_t s = 0; s < c.kernel_w; ++s) {
        const int64_t right = p.w + c.pad_left - s * c.dilation_w;
        if (right < 0 || right % c.stride_w != 0 || right / c.stride_w >= c.out_w) continue;
        const int64_t row = ((p.outer * c.kernel_h + r) * c.kernel_w + s) * c.out_h;
        sum += cols[(row + down / c.stride_h) * c.out_w + right / c.stride_w];
      }
    }
    x[i] = sum;
  }
};

// x = the sum of the windows that cover each element, taps in row-major order.
template <class T>
void col2im(const T* cols, T* x, const Conv2d& c) {
  const int64_t planes = c.batch * c.channels;
  each(planes * c.height * c.width, planes * c.kernel_h * c.kernel_w * c.out_h * c.out_w,
       BackFromColumns<T>{cols, x, c});
}

}  // namespace

DLCORE_CUDA_EXPORT(im2col)
DLCORE_CUDA_EXPORT(col2im)

}  // namespace DLCORE_ISA
}  // namespace dlcore
