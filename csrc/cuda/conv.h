// What the convolutions share: a convolution's axes, its windows along one, tiles of products.
#pragma once

#include <stdexcept>
#include <string>

#include "cuda/device.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One axis of x and y: element o of y sees o * stride - pad + tap * dilation.
struct ConvAxis {
  int in, out, kernel, stride, dilation, pad;
};

struct ConvShape {
  ConvAxis axis[3];                                           // depth, height, width
  int64_t batch, groups, in_group, out_group, taps, in, out;  // in and out: of a plane

  explicit ConvShape(const Conv3d& v)
      : axis{axis_of(v.depth, v.out_d, v.kernel_d, v.stride_d, v.dilation_d, v.pad_front),
             axis_of(v.plane.height, v.plane.out_h, v.plane.kernel_h, v.plane.stride_h,
                     v.plane.dilation_h, v.plane.pad_top),
             axis_of(v.plane.width, v.plane.out_w, v.plane.kernel_w, v.plane.stride_w,
                     v.plane.dilation_w, v.plane.pad_left)},
        batch(v.plane.batch),
        groups(v.plane.groups),
        in_group(v.plane.channels / groups),
        out_group(v.plane.out_channels / groups),
        taps(v.kernel_d * v.plane.kernel_h * v.plane.kernel_w),
        in(v.depth * v.plane.height * v.plane.width),
        out(v.out_d * v.plane.out_h * v.plane.out_w) {}

 private:
  // The kernels count along an axis with 32 bits.
  static ConvAxis axis_of(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                          int64_t pad) {
    if (larger(in, out * stride) + kernel * dilation + larger(pad, -pad) >= int64_t(1) << 30)
      throw std::invalid_argument(std::string(current_op()) +
                                  ": an axis with its padding must be below 2^30 on a GPU");
    return {int(in), int(out), int(kernel), int(stride), int(dilation), int(pad)};
  }
};

inline Conv3d volume_of(const Conv2d& c) {
  return {c, 1, 1, 1, 1, 1, 0};
}

// The taps of an element of the result in the source along one axis: position p of the results
// `first`, first + step, ... sees the source at base + p * move + j * reach for tap j, which is tap
// first_tap + j * tap_step of the weights.
struct Seen {
  int positions, first, step;
  int taps, first_tap, tap_step;
  int source, base, move, reach;

  // y from x.
  __device__ void forward(const ConvAxis& a) {
    positions = a.out, first = 0, step = 1;
    taps = a.kernel, first_tap = 0, tap_step = 1;
    source = a.in, base = -a.pad, move = a.stride, reach = a.dilation;
  }
  // x from y: elements `phase` apart from a multiple of the stride see the same taps.
  __device__ void backward(const ConvAxis& a, int phase) {
    positions = phase < a.in ? (a.in - phase + a.stride - 1) / a.stride : 0;
    first = phase, step = a.stride;
    first_tap = 0;
    while (first_tap < a.kernel && (phase + a.pad - first_tap * a.dilation) % a.stride != 0)
      ++first_tap;
    tap_step = 1;
    while (tap_step * a.dilation % a.stride != 0) ++tap_step;
    taps = first_tap < a.kernel ? (a.kernel - first_tap + tap_step - 1) / tap_step : 0;
    source = a.out, base = (phase + a.pad - first_tap * a.dilation) / a.stride, move = 1;
    reach = -(tap_step * a.dilation / a.stride);
  }
};

// -- a product's tiles: kTile by kTile results, kDeep deep, kEach * kEach of them to a thread --

constexpr int kTile = 64, kDeep = 16, kEach = 4;
constexpr int kFewRows = 8;  // of a group, for which tiles would be empty

// Neighbours along kDeep lie in different banks, and kEach along kTile are one load.
template <class T>
struct Tile {
  alignas(kEach * sizeof(T)) T v[kDeep][kTile + kEach];
};

// This thread's results: rows from `row` and columns from `col`.
template <class T>
struct Results {
  int row, col;
  T sum[kEach][kEach] = {};

  __device__ Results()
      : row(static_cast<int>(threadIdx.x) / (kTile / kEach) * kEach),
        col(static_cast<int>(threadIdx.x) % (kTile / kEach) * kEach) {}
  __device__ void add(const Tile<T>& a, const Tile<T>& b) {
#pragma unroll
    for (int d = 0; d < kDeep; ++d) {
      const Pack<T, kEach> left = load<kEach>(&a.v[d][row]), right = load<kEach>(&b.v[d][col]);
#pragma unroll
      for (int r = 0; r < kEach; ++r)
#pragma unroll
        for (int c = 0; c < kEach; ++c) sum[r][c] += left.v[r] * right.v[c];
    }
  }
};

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
