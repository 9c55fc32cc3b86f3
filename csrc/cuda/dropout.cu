// Dropout: the mask is made from Philox counters on the way, forward and again backward, and never
// stored. One read and one write.

#include "cuda/philox.h"
#include "kernels/random.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// y = scale x + shift where word i >= drop_below, else `dropped` (also where x is inf or NaN).
// Element i of a tensor belongs to word i, whatever its dtype. y may be x.
template <class T>
void dropout(const T* x, T* y, int64_t n, uint32_t drop_below, T scale, T shift, T dropped,
             uint64_t seed, uint64_t offset) {
  for_philox({seed, offset, 0}, n, kGroupWords, EachWord(),
             [=] __device__(int64_t i, uint32_t word) {
               y[i] = word >= drop_below ? x[i] * scale + shift : dropped;
             });
}

}  // namespace

DLCORE_CUDA_EXPORT(dropout)

}  // namespace DLCORE_ISA
}  // namespace dlcore
