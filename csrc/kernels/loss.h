#pragma once

#include "kernels/signature.h"

namespace dlcore {

// A sum in double with what its additions lost.
struct Sum {
  double sum = 0, lost = 0;
  DLCORE_SHARED void add(double term) {
    const double next = sum + term, taken = next - sum;
    lost += (sum - (next - taken)) + (term - taken);
    sum = next;
  }
  DLCORE_SHARED double value() const {  // of inf, what it lost is NaN
    return lost == lost ? sum + lost : sum;
  }
};

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

// Losses of each element of x and target, some of a third array too.
enum class LossFormula {
  squares,      // (x - target)^2; number: what they are multiplied by
  piecewise,    // number: bend, curve, slope, level. d = x - target: curve d^2 below |d| = bend,
                // slope |d| - level from there on
  log_squares,  // (log(1 + x) - log(1 + target))^2
  log_cosh,     // log cosh(x - target)
  binary,       // of probabilities x
  logits,       // of scores x; other: what target's share counts
  focal,        // of scores x; number: alpha, gamma
  divergence,   // of log-probabilities x; number: whether target is logarithms too
  hinge_embedding,  // number: margin
  ranking,          // max(0, margin - target (x - other)); number: margin
  soft_margin,      // log(1 + exp(-target x))
  poisson,          // number: whether x is the logarithm, whether Stirling's terms count, eps
  gaussian,         // other: variance; number: eps, a constant
};

template <class T>
struct ElementLoss {
  LossFormula formula;
  const T *x, *target, *other;
  const T* weight;  // of each element; null for 1
  T number[4];
  int64_t n;
};

// Unless null: y gets the losses, total their sum, slopes[i] the gradient of x, target and other,
// times scale and dy, which has one value, or one for each element when dy_step is 1.
SIGNATURE(element_loss, (const ElementLoss<T>& loss, const T* dy, int64_t dy_step, T scale, T* y,
                         double* total, T* const* slopes));

}  // namespace dlcore
