// Products that never become one operation with the sum that follows, for results that must be the
// same to the bit wherever they are computed.
#pragma once

#include "cuda/device.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

__device__ inline float times(float a, float b) {
#ifdef __CUDACC__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
__device__ inline double times(double a, double b) {
#ifdef __CUDACC__
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
