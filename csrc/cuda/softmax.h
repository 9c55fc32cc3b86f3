// What softmax and cross-entropy share: the largest number of a row and the sum of exp(x - it).
#pragma once

#include "cuda/math.h"
#include "cuda/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// exp(x - top) loses nothing but must not meet -inf - -inf.
template <class T>
__device__ T finite_shift(T top) {
  return top == -kInf<T> ? T(0) : top;
}

// shift is the largest number (0 for -inf), sum that of exp(x - shift).
template <class T>
struct Normalizer {
  T shift, sum;
  // 0 for a row of -inf only, whose log-softmax is then -inf.
  __device__ T log_sum() const { return sum == T(0) ? T(0) : math::log(sum); }
};

template <class T, class Row>
__device__ Normalizer<T> normalizer_of_row(const Row& row) {
  const T shift = finite_shift(row.fold(-kInf<T>, [](T v) { return v; }, Larger()));
  return {shift, row.fold(T(0), [=](T v) { return math::exp(v - shift); }, Plus())};
}

// Down a column, in one pass: the sum so far is scaled whenever the largest number changes.
template <class T>
__device__ Normalizer<T> normalizer_of_column(const T* x, int64_t n, int64_t inner) {
  T top = -kInf<T>, sum = T(0);
  for (int64_t i = 0; i < n; ++i) {
    const T v = x[i * inner];
    if (v > top) {
      sum *= math::exp(top - v);
      top = v;
    }
    sum += math::exp(v - finite_shift(top));
  }
  return {finite_shift(top), sum};
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
