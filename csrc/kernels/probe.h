#pragma once

#include "kernels/signature.h"

namespace dlcore {

// The machine's limits, for benchmarks.
SIGNATURE(probe_fma, (T * sink, double* flops, int64_t chunks));
SIGNATURE(probe_read, (const T* x, T* sink, int64_t n));
SIGNATURE(probe_copy, (const T* x, T* y, int64_t n, bool past_caches));

}  // namespace dlcore
