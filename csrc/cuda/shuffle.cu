// Pixel shuffle and its inverse, channel shuffle: each the other's gradient. Copies only.

#include "cuda/each.h"
#include "kernels/shuffle.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct PixelShuffle {
  const T* x;
  T* y;
  int64_t factor, height, width;
  template <class Index>
  __device__ void at(Index to) const {
    const Index f = static_cast<Index>(factor);
    const Places<Index> p(to, 1, height * factor, width * factor);
    const Index h = p.h / f, w = p.w / f, square = (p.h - h * f) * f + (p.w - w * f);
    y[to] = x[((p.outer * f * f + square) * static_cast<Index>(height) + h) *
                  static_cast<Index>(width) +
              w];
  }
};

// y (planes, height * factor, width * factor) of x (planes, factor, factor, height, width): pixel
// (i, j) of each square comes from channel (i, j).
template <class T>
void pixel_shuffle(const T* x, T* y, int64_t planes, int64_t factor, int64_t height,
                   int64_t width) {
  const int64_t n = planes * factor * factor * height * width;
  each(n, n, PixelShuffle<T>{x, y, factor, height, width});
}

template <class T>
struct PixelUnshuffle {
  const T* x;
  T* y;
  int64_t factor, height, width;
  template <class Index>
  __device__ void at(Index to) const {
    const Index f = static_cast<Index>(factor);
    const Places<Index> p(to, factor * factor, height, width);
    const Index i = p.d / f, j = p.d - i * f;
    y[to] =
        x[((p.outer * static_cast<Index>(height) + p.h) * f + i) * static_cast<Index>(width) * f +
          p.w * f + j];
  }
};

// The inverse: y (planes, factor, factor, height, width) of x (planes, height * factor, ...).
template <class T>
void pixel_unshuffle(const T* x, T* y, int64_t planes, int64_t factor, int64_t height,
                     int64_t width) {
  const int64_t n = planes * factor * factor * height * width;
  each(n, n, PixelUnshuffle<T>{x, y, factor, height, width});
}

template <class T>
struct ChannelShuffle {
  const T* x;
  T* y;
  int64_t groups, channels, size;
  template <class Index>
  __device__ void at(Index to) const {
    const Places<Index> p(to, channels, groups, size);
    y[to] = x[((p.outer * static_cast<Index>(groups) + p.h) * static_cast<Index>(channels) + p.d) *
                  static_cast<Index>(size) +
              p.w];
  }
};

// y (batch, channels, groups, size) = x (batch, groups, channels, size), two axes swapped.
template <class T>
void channel_shuffle(const T* x, T* y, int64_t batch, int64_t groups, int64_t channels,
                     int64_t size) {
  const int64_t n = batch * groups * channels * size;
  each(n, n, ChannelShuffle<T>{x, y, groups, channels, size});
}

}  // namespace

DLCORE_CUDA_EXPORT(pixel_shuffle)
DLCORE_CUDA_EXPORT(pixel_unshuffle)
DLCORE_CUDA_EXPORT(channel_shuffle)

}  // namespace DLCORE_ISA
}  // namespace dlcore
