#pragma once

#include "kernels/elementwise.h"
#include "kernels/signature.h"

namespace dlcore {

// Two inputs and a condition, broadcast to one C-contiguous output: the condition chooses between
// the two.
struct Choice {
  int ndim;
  int64_t size[kMaxDims];
  int64_t stride_c[kMaxDims], stride_a[kMaxDims], stride_b[kMaxDims];
};

// Results are bytes of 0 or 1.
SIGNATURE(eq, (const T* a, const T* b, uint8_t* y, const Broadcast& shape));
SIGNATURE(ne, (const T* a, const T* b, uint8_t* y, const Broadcast& shape));
SIGNATURE(lt, (const T* a, const T* b, uint8_t* y, const Broadcast& shape));
SIGNATURE(le, (const T* a, const T* b, uint8_t* y, const Broadcast& shape));
SIGNATURE(isnan, (const T* x, uint8_t* y, int64_t n));
SIGNATURE(isinf, (const T* x, uint8_t* y, int64_t n));
SIGNATURE(isfinite, (const T* x, uint8_t* y, int64_t n));
SIGNATURE(where, (const uint8_t* condition, const T* a, const T* b, T* y, const Choice& shape));

}  // namespace dlcore
