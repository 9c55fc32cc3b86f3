// Samples of x at the places of a grid, forward and backward. A thread looks up the taps of a place
// for a few channels. The gradient of x is gathered: the taps of all places are sorted by the pixel
// that they lie on, places in their order, so that each pixel knows its own for all channels.

#include <stdexcept>
#include <string>

#include "cuda/each.h"
#include "cuda/grid_places.h"
#include "cuda/order.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kGroup = 4;  // channels that share the search for the taps

inline int64_t plane_of(const GridSample& p) {
  return p.depth * p.height * p.width;
}

template <class T, int kTaps, int kAxes>
struct Sample {
  const T *x, *grid;
  T* y;
  GridSample p;
  int64_t groups;
  template <class Index>
  __device__ void at(Index item) const {  // (batch, groups, places)
    const Places<Index> o(item, 1, groups, p.out);
    const Place<T, kTaps, kAxes> place(p, grid + (o.outer * p.out + o.w) * kAxes);
    const int64_t plane = p.depth * p.height * p.width, first = o.h * kGroup;
    const int64_t end = smaller(first + kGroup, p.channels);
    for (int64_t c = o.outer * p.channels + first; c < o.outer * p.channels + end; ++c) {
      const T* const from = x + c * plane;
      T sum = T(0);
      place.each(p, [&](int64_t at, int, int k, int j, int i) {
        if (at < 0) return;
        if constexpr (kTaps == 1)
          sum = from[at];
        else
          sum = math::fma(place.x.weight[i] * place.y.weight[j] * place.z.weight[k], from[at], sum);
      });
      y[c * p.out + o.w] = sum;
    }
  }
};

// f.template operator()<taps, axes>()
template <class F>
void with_taps(const GridSample& p, const F& f) {
  if (p.mode == SampleMode::bicubic) return f.template operator()<4, 2>();
  if (p.mode == SampleMode::bilinear)
    return p.axes == 3 ? f.template operator()<2, 3>() : f.template operator()<2, 2>();
  p.axes == 3 ? f.template operator()<1, 3>() : f.template operator()<1, 2>();
}

// y = x at the places; where a tap is outside and nothing is put there, 0. A coordinate that is
// NaN counts as -1.
template <class T>
void grid_sample_forward(const T* x, const T* grid, T* y, const GridSample& p) {
  const int64_t groups = ceil_div(p.channels, kGroup);
  const int64_t largest = p.batch * p.channels * larger(plane_of(p), p.out);
  with_taps(p, [&]<int kTaps, int kAxes>() {
    each(p.batch * groups * p.out, largest, Sample<T, kTaps, kAxes>{x, grid, y, p, groups});
  });
}

// -- the gradient of x --

// The taps of every place of some samples: their pixels, as keys, and their weights. A sample has
// plane + 1 pixels, the last for what lies outside.
template <class T, int kTaps, int kAxes>
struct ListTaps {
  const T* grid;
  Pairs<uint32_t> items;
  T* weight;
  GridSample p;
  template <class Index>
  __device__ void at(Index j) const {
    const Place<T, kTaps, kAxes> place(p, grid + int64_t(j) * kAxes);
    const uint32_t plane = static_cast<uint32_t>(p.depth * p.height * p.width);
    const uint32_t sample = static_cast<uint32_t>(j / static_cast<Index>(p.out)) * (plane + 1);
    place.each(p, [&](int64_t at, int number, int k, int b, int i) {
      const int64_t to = int64_t(j) * place.kAll + number;
      items.key[to] = sample + (at < 0 ? plane : static_cast<uint32_t>(at));
      items.number[to] = static_cast<uint32_t>(to);
      weight[to] = place.x.weight[i] * place.y.weight[b] * place.z.weight[k];
    });
  }
};

template <class T>
struct GatherTaps {
  const T* dy;  // of the samples, as dx
  const uint32_t *order, *first;
  const T* weight;
  T* dx;
  int64_t channels, plane, out;
  uint32_t taps;
  template <class Index>
  __device__ void at(Index i) const {
    const Places<Index> e(i, channels, 1, plane);  // (samples, channels, plane)
    const int64_t pixel = e.outer * (plane + 1) + e.w;
    const T* const from = dy + (e.outer * channels + e.d - e.outer) * out;  // place 0 of sample 0
    T sum = T(0);
    for (uint32_t k = first[pixel]; k < first[pixel + 1]; ++k) {
      const uint32_t tap = order[k];
      sum = math::fma(weight[tap], from[tap / taps], sum);
    }
    dx[i] = sum;
  }
};

// As many samples at once as have kTogether taps, but one.
template <class T, int kTaps, int kAxes>
void input_gradient(const T* dy, const T* grid, T* dx, const GridSample& p) {
  constexpr int64_t kAll = Place<T, kTaps, kAxes>::kAll, kTogether = int64_t(1) << 23;
  const int64_t plane = plane_of(p), taps = p.out * kAll, pixels = plane + 1;
  if (larger(pixels, taps) >= int64_t(1) << 31)
    throw std::invalid_argument(std::string(current_op()) +
                                ": a sample must have fewer than 2^31 pixels and taps on a GPU");
  const int64_t most = larger(1, kTogether / larger(1, larger(pixels, taps)));
  const int64_t together = larger(1, smaller(p.batch, most)), room_size = together * taps;
  RadixRoom<uint32_t> room(1, room_size);
  const Scratch<uint32_t> first(together * pixels + 1);
  const Scratch<T> weight(room_size);
  for (int64_t n = 0; n < p.batch; n += together) {
    const int64_t samples = smaller(together, p.batch - n), all = samples * taps;
    each(samples * p.out, all,
         ListTaps<T, kTaps, kAxes>{grid + n * p.out * kAxes, room.from, weight, p});
    radix_sort(room, 1, all, bits_below(together * pixels));
    find_starts<uint32_t>(room.from.key, all, samples * pixels, first);
    each(samples * p.channels * plane, samples * p.channels * p.out,
         GatherTaps<T>{dy + n * p.channels * p.out, room.from.number, first, weight,
                       dx + n * p.channels * plane, p.channels, plane, p.out,
                       static_cast<uint32_t>(kAll)});
  }
}

// -- the gradient of the grid --

template <class T, int kTaps, int kAxes>
struct MoveGrid {
  const T *dy, *x, *grid;
  T* dgrid;
  GridSample p;
  template <class Index>
  __device__ void at(Index item) const {  // (batch, places)
    const Index n = item / static_cast<Index>(p.out), j = item - n * static_cast<Index>(p.out);
    const Place<T, kTaps, kAxes> place(p, grid + int64_t(item) * kAxes);
    const int64_t plane = p.depth * p.height * p.width;
    T moves[3] = {};
    for (int64_t c = n * p.channels; c < (n + 1) * p.channels; ++c) {
      const T* const from = x + c * plane;
      T sums[3] = {};
      place.each(p, [&](int64_t at, int, int k, int b, int a) {
        if (at < 0) return;
        const T wx = place.x.weight[a], wy = place.y.weight[b], wz = place.z.weight[k];
        const T v = from[at];
        sums[0] = math::fma(place.x.slope[a] * wy * wz, v, sums[0]);
        sums[1] = math::fma(place.y.slope[b] * wx * wz, v, sums[1]);
        if constexpr (kAxes == 3) sums[2] = math::fma(place.z.slope[k] * wx * wy, v, sums[2]);
      });
      const T d = dy[c * p.out + j];
#pragma unroll
      for (int axis = 0; axis < kAxes; ++axis) moves[axis] = math::fma(d, sums[axis], moves[axis]);
    }
#pragma unroll
    for (int axis = 0; axis < kAxes; ++axis) dgrid[int64_t(item) * kAxes + axis] = moves[axis];
  }
};

// dx and dgrid (either may be null) = the gradients of x and of the grid.
template <class T>
void grid_sample_backward(const T* dy, const T* x, const T* grid, T* dx, T* dgrid,
                          const GridSample& p) {
  const bool flat = p.mode == SampleMode::nearest;  // steps
  if (dgrid && flat) device_clear(dgrid, static_cast<size_t>(p.batch * p.out * p.axes) * sizeof(T));
  with_taps(p, [&]<int kTaps, int kAxes>() {
    if (dx) input_gradient<T, kTaps, kAxes>(dy, grid, dx, p);
    if constexpr (kTaps > 1)
      if (dgrid)
        each<1>(p.batch * p.out, p.batch * p.channels * larger(plane_of(p), p.out),
                MoveGrid<T, kTaps, kAxes>{dy, x, grid, dgrid, p});
  });
}

}  // namespace

DLCORE_CUDA_EXPORT(grid_sample_forward)
DLCORE_CUDA_EXPORT(grid_sample_backward)

}  // namespace DLCORE_ISA
}  // namespace dlcore
