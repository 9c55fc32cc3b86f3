// What becomes of a convolution's results when their sums are complete; see Finish in
// kernels/conv.h.
//
// none, relu and relu6 are limits, for which a kernel has room in the registers that it stores.
// All else is done to rows of y just stored, which L1 or L2 still holds.
#pragma once

#include "cpu/gemm_tile.h"
#include "cpu/simd.h"
#include "kernels/activation.h"
#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// The part that is limits. NaN stays NaN.
template <class T>
struct Limits {
  T low = -kInf<T>, high = kInf<T>;
  bool all;  // nothing is left for finish_rows

  explicit Limits(const Finish<T>& f) {
    const bool six = f.activation == Activation::relu6;
    const bool limited = six || f.activation == Activation::relu;
    all = !f.residual && (limited || f.activation == Activation::none);
    if (all && limited) low = T(0);
    if (all && six) high = T(6);
  }
  DLCORE_INLINE_MEMBER Vec<T> of(Vec<T> v) const {
    return min<T>(splat<T>(high), max<T>(splat<T>(low), v));
  }
  // Whole vectors of n sums.
  DLCORE_INLINE_MEMBER void apply(T* sums, int64_t n) const {
    if (low == T(0))
      for (int64_t i = 0; i < n; i += kLanes<T>) store<T>(sums + i, of(load<T>(sums + i)));
  }
};

}  // namespace

// `rows` rows of n results, `step` apart, the first at y[at]: y = activation(y + residual). In
// conv_planes.cpp.
void finish_rows(const Finish<float>& f, float* y, int64_t at, int64_t rows, int64_t n,
                 int64_t step);
void finish_rows(const Finish<double>& f, double* y, int64_t at, int64_t rows, int64_t n,
                 int64_t step);

}  // namespace DLCORE_ISA
}  // namespace dlcore
