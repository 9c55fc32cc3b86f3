// What stands around a Fourier transform: frames cut out of a signal under a window, their sum
// where they overlap (the adjoint of cutting), and the power of complex numbers. Bound by memory.

#include "cuda/math.h"
#include "kernels/signal.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
__global__ void __launch_bounds__(kBlock)
    frame_kernel(const T* x, const T* window, T* y, FrameShape s) {
  const int64_t n = s.batch * s.frames * s.size;
  for (int64_t i = grid_thread(); i < n; i += grid_threads()) {
    const int64_t r = i / s.size, at = i - r * s.size, b = r / s.frames;
    y[i] = x[b * s.length + (r - b * s.frames) * s.hop + at] * window[at];
  }
}

// y[t] = window * x[t hop ...].
template <class T>
void frame(const T* x, const T* window, T* y, const FrameShape& s) {
  launch(frame_kernel<T>, Size{blocks_for(s.batch * s.frames * s.size, kBlock), kBlock}, x, window,
         y, s);
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    overlap_kernel(const T* frames, const T* window, T* y, FrameShape s) {
  for (int64_t i = grid_thread(); i < s.batch * s.length; i += grid_threads()) {
    const int64_t b = i / s.length, at = i - b * s.length;
    T sum = T(0);
    for (int64_t t = at < s.size ? 0 : (at - s.size) / s.hop + 1; t < s.frames && t * s.hop <= at;
         ++t) {
      const int64_t place = at - t * s.hop;
      sum += frames ? window[place] * frames[(b * s.frames + t) * s.size + place] : window[place];
    }
    y[i] = sum;
  }
}

// y[p] = sum over the frames t that reach p of window[i] frames[t][i], i = p - t hop, in their
// order. 0 where none does.
template <class T>
void overlap_add(const T* frames, const T* window, T* y, const FrameShape& s) {
  launch(overlap_kernel<T>, Size{blocks_for(s.batch * s.length, kBlock), kBlock}, frames, window, y,
         s);
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
__global__ void __launch_bounds__(kBlock)
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
