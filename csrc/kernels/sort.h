#pragma once

#include "kernels/signature.h"

namespace dlcore {

// x is (outer, n, inner), ordered along n < 2^31. y may be null.
SIGNATURE(sort, (const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner,
                 bool descending));
// y and index are (outer, k, inner), the largest (or smallest) first; 1 <= k <= n.
SIGNATURE(topk, (const T* x, T* y, int64_t* index, int64_t outer, int64_t n, int64_t inner,
                 int64_t k, bool largest));

}  // namespace dlcore
