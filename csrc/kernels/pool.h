#pragma once

#include "kernels/signature.h"

namespace dlcore {

// The windows along one axis: output o begins at o * stride - low and has an element every
// dilation. With a stride of 0 the `out` windows share the axis: o covers size * o / out up to,
// rounded up, size * (o + 1) / out, and kernel is the longest of them or more; dilation is 1, low
// and high 0.
struct PoolAxis {
  int64_t size, out;
  int64_t kernel, stride, dilation;
  int64_t low, high;  // padding
};

// x is (planes, d.size, h.size, w.size), y (planes, d.out, h.out, w.out); planes = batch *
// channels. An axis that x does not have is {1, 1, 1, 1, 1, 0, 0}.
struct Pool {
  int64_t planes;
  PoolAxis d, h, w;
};

// A window's sum is divided by `divisor`, or, if that is 0, by its number of elements, of which the
// padding may be some.
struct AvgPool : Pool {
  bool include_pad;
  int64_t divisor;
};

SIGNATURE(max_pool_forward, (const T* x, T* y, void* taps, const Pool& p, bool lowest));
SIGNATURE(max_pool_backward, (const T* dy, const void* taps, T* dx, const Pool& p));
SIGNATURE(max_pool_indices, (const void* taps, int64_t* indices, const Pool& p));
SIGNATURE(max_unpool_forward,
          (const T* x, const int64_t* indices, T* y, int64_t planes, int64_t n, int64_t size));
SIGNATURE(max_unpool_backward,
          (const T* dy, const int64_t* indices, T* dx, int64_t planes, int64_t n, int64_t size));
SIGNATURE(avg_pool_forward, (const T* x, T* y, const AvgPool& p));
SIGNATURE(avg_pool_backward, (const T* dy, T* dx, const AvgPool& p));
SIGNATURE(lp_pool_forward, (const T* x, T* y, const AvgPool& p, T norm_type));
SIGNATURE(lp_pool_backward,
          (const T* x, const T* y, const T* dy, T* dx, const AvgPool& p, T norm_type));
SIGNATURE(global_avg_pool_forward, (const T* x, T* y, int64_t planes, int64_t n));
SIGNATURE(global_avg_pool_backward, (const T* dy, T* dx, int64_t planes, int64_t n));
SIGNATURE(global_max_pool_forward, (const T* x, T* y, int64_t* where, int64_t planes, int64_t n));
SIGNATURE(global_max_pool_backward,
          (const T* dy, const int64_t* where, T* dx, int64_t planes, int64_t n));

}  // namespace dlcore
