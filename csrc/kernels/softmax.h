#pragma once

#include "kernels/signature.h"

namespace dlcore {

// x is (outer, n, inner), the softmax along n.
SIGNATURE(softmax_forward, (const T* x, T* y, int64_t outer, int64_t n, int64_t inner));
SIGNATURE(softmax_backward,
          (const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner));
SIGNATURE(log_softmax_forward, (const T* x, T* y, int64_t outer, int64_t n, int64_t inner));
SIGNATURE(log_softmax_backward,
          (const T* y, const T* dy, T* dx, int64_t outer, int64_t n, int64_t inner));

}  // namespace dlcore
