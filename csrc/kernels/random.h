#pragma once

#include "kernels/signature.h"

namespace dlcore {

// Random numbers are functions of (seed, offset): see runtime/random.h.
SIGNATURE(random_bits, (uint32_t* out, int64_t n, uint64_t seed, uint64_t offset, uint64_t stream));
SIGNATURE(random_uniform, (T * out, int64_t n, T low, T high, uint64_t seed, uint64_t offset));
SIGNATURE(random_normal, (T * out, int64_t n, T mean, T scale, uint64_t seed, uint64_t offset));
SIGNATURE(random_bernoulli,
          (const T* p, int64_t p_step, T* out, int64_t n, uint64_t seed, uint64_t offset));
SIGNATURE(dropout, (const T* x, T* y, int64_t n, uint32_t drop_below, T scale, T shift, T dropped,
                    uint64_t seed, uint64_t offset));

}  // namespace dlcore
