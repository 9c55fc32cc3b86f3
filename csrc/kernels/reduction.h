#pragma once

#include "kernels/signature.h"

namespace dlcore {

// y[k1, k2] is made of x[k1, r1, k2, r2] for all r1 and r2.
struct Reduction {
  int64_t kept1, reduced1, kept2, reduced2;
};

SIGNATURE(sum, (const T* x, T* y, const Reduction& shape, T divisor));
SIGNATURE(sum_abs, (const T* x, T* y, const Reduction& shape));
SIGNATURE(sum_squares, (const T* x, const T* shift, T* y, const Reduction& shape, T divisor));
SIGNATURE(prod, (const T* x, T* y, const Reduction& shape));
SIGNATURE(amax, (const T* x, T* y, const Reduction& shape));
SIGNATURE(amin, (const T* x, T* y, const Reduction& shape));
SIGNATURE(argmax, (const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner));
SIGNATURE(argmin, (const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner));

}  // namespace dlcore
