#pragma once

#include "kernels/signature.h"

namespace dlcore {

// x is (outer, n, inner): sums along n so far, from the end when reversed. y may be x.
SIGNATURE(cumsum, (const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool reversed));

}  // namespace dlcore
