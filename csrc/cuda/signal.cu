// What stands around a Fourier transform: frames cut out of a signal under a window, their sum
// where they overlap (the adjoint of cutting), and the power of complex numbers. Bound by memory.

#include "cuda/each.h"
#include "cuda/math.h"
#include "kernels/signal.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Framed {
  const T *x, *window;
  T* y;
  FrameShape s;

  template <class Index>
  __device__ void at(Index i) const {
    const Index size = static_cast<Index>(s.size), frames = static_cast<Index>(s.frames);
    const Index row = i / size, place = i - row * size, b = row / frames;
    y[i] = x[int64_t(b) * s.length + int64_t(row - b * frames) * s.hop + place] * window[place];
  }
};

// y[t] = window * x[t hop ...].
template <class T>
void frame(const T* x, const T* window, T* y, const FrameShape& s) {
  each(s.batch * s.frames * s.size, 0, Framed<T>{x, window, y, s});
}

template <class T>
struct Overlapped {
  const T *frames, *window;
  T* y;
  FrameShape s;

  template <class Index>
  __device__ void at(Index i) const {
    const Index length = static_cast<Index>(s.length), hop = static_cast<Index>(s.hop);
    const Index size = static_cast<Index>(s.size), b = i / length, at = i - b * length;
    T sum = T(0);
    for (Index t = at < size ? 0 : (at - size) / hop + 1;
         t < static_cast<Index>(s.frames) && t * hop <= at; ++t) {
      const Index place = at - t * hop;
      sum += frames ? window[place] * frames[(int64_t(b) * s.frames + t) * s.size + place]
                    : window[place];
    }
    y[i] = sum;
  }
};

// y[p] = sum over the frames t that reach p of window[i] frames[t][i], i = p - t hop, in their
// order. 0 where none does.
template <class T>
void overlap_add(const T* frames, const T* window, T* y, const FrameShape& s) {
  // What is compared with a place: no more than a hop past the end.
  each(s.batch * s.length, s.length + s.hop, Overlapped<T>{frames, window, y, s});
}

template <class T>
__global__ void __launch_bounds__(kBlock) power_kernel(const T* x, T* y, int64_t n, bool root) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    const T re = x[2 * i], im = x[2 * i + 1], power = re * re + im * im;
    y[i] = root ? math::sqrt(power) : power;
  }
}

// y = re^2 + im^2, or its root.
template <class T>
void pair_power_forward(const T* x, T* y, int64_t n, bool root) {
  launch(power_kernel<T>, Size{blocks_for(n, kBlock), kBlock}, x, y, n, root);
}

template <class T>
__global__ void __launch_bounds__(kBlock, 3)
    power_backward_kernel(const T* x, const T* y, const T* dy, T* dx, int64_t n, bool root) {
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    const T d = dy[i], slope = !root ? d + d : y[i] == T(0) ? T(0) : d / y[i];
    dx[2 * i] = x[2 * i] * slope;
    dx[2 * i + 1] = x[2 * i + 1] * slope;
  }
}

// dx = 2 dy x, or dy x / y: 0 where y is 0.
template <class T>
void pair_power_backward(const T* x, const T* y, const T* dy, T* dx, int64_t n, bool root) {
  launch(power_backward_kernel<T>, Size{blocks_for(n, kBlock), kBlock}, x, y, dy, dx, n, root);
}

}  // namespace

DLCORE_CUDA_EXPORT(frame)
DLCORE_CUDA_EXPORT(overlap_add)
DLCORE_CUDA_EXPORT(pair_power_forward)
DLCORE_CUDA_EXPORT(pair_power_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
