#pragma once

#include "kernels/signature.h"

namespace dlcore {

// x is (outer, n, inner): sums along n so far, from the end when reversed. y may be x.
SIGNATURE(cumsum, (const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool reversed));
// Products so far, and their gradient.
SIGNATURE(cumprod_forward, (const T* x, T* y, int64_t outer, int64_t n, int64_t inner));
SIGNATURE(cumprod_backward,
          (const T* x, const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner));

}  // namespace dlcore
