#pragma once

#include "kernels/signature.h"

namespace dlcore {

constexpr int kMaxDims = 8;  // after merging neighbouring axes

// Two inputs broadcast to one C-contiguous output. A stride of 0 repeats.
struct Broadcast {
  int ndim;
  int64_t size[kMaxDims];
  int64_t stride_a[kMaxDims], stride_b[kMaxDims];
};

SIGNATURE(add, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(sub, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(mul, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(div, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(pow, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(maximum, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(minimum, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(maximum_slope, (const T* a, const T* b, T* y, const Broadcast& shape));
SIGNATURE(expand, (const T* a, T* y, const Broadcast& shape));
SIGNATURE(exp, (const T* x, T* y, int64_t n));
SIGNATURE(expm1, (const T* x, T* y, int64_t n));
SIGNATURE(log, (const T* x, T* y, int64_t n));
SIGNATURE(log1p, (const T* x, T* y, int64_t n));
SIGNATURE(erf, (const T* x, T* y, int64_t n));
SIGNATURE(sqrt, (const T* x, T* y, int64_t n));
SIGNATURE(rsqrt, (const T* x, T* y, int64_t n));
SIGNATURE(reciprocal, (const T* x, T* y, int64_t n));
SIGNATURE(square, (const T* x, T* y, int64_t n));
SIGNATURE(abs, (const T* x, T* y, int64_t n));
SIGNATURE(neg, (const T* x, T* y, int64_t n));
SIGNATURE(sign, (const T* x, T* y, int64_t n));
SIGNATURE(clip, (const T* x, T* y, int64_t n, T low, T high));
SIGNATURE(expm1_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(log1p_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(erf_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(sqrt_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(rsqrt_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(reciprocal_backward, (const T* y, const T* dy, T* dx, int64_t n));
SIGNATURE(square_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(abs_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(clip_backward, (const T* x, const T* dy, T* dx, int64_t n, T low, T high));

}  // namespace dlcore
