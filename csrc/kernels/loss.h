#pragma once

#include "kernels/signature.h"

namespace dlcore {

// Scores x are (outer, n, inner) with the classes along n; target is (outer, inner). A target of
// ignore_index does not count.
template <class T>
struct ClassLoss {
  int64_t outer, n, inner;
  const int64_t* target;
  const T* weight;  // of each class; null for 1
  int64_t ignore_index;
  T smoothing;   // how much of the target is spread evenly over the classes
  T weight_sum;  // of all classes: n without weights
};

// `loss` may be null; totals are the sum of the losses and of the targets' weights; dy has one
// value, or one for each target when dy_step is 1.
SIGNATURE(cross_entropy_forward, (const T* x, T* loss, T* normalizer, T* dx, T scale,
                                  double* totals, const ClassLoss<T>& shape));
SIGNATURE(cross_entropy_backward, (const T* x, const T* normalizer, const T* dy, int64_t dy_step,
                                   T scale, T* dx, const ClassLoss<T>& shape));
SIGNATURE(nll_forward, (const T* x, T* loss, double* totals, const ClassLoss<T>& shape));
SIGNATURE(nll_backward, (const T* dy, int64_t dy_step, T scale, T* dx, const ClassLoss<T>& shape));
SIGNATURE(mse_forward, (const T* x, const T* target, double* total, int64_t n));
SIGNATURE(mse_elements, (const T* x, const T* target, T* y, int64_t n));
SIGNATURE(mse_backward,
          (const T* x, const T* target, const T* dy, int64_t dy_step, T scale, T* dx, int64_t n));

}  // namespace dlcore
