// Losses of each element with their gradients: one kernel, into which a formula is put, reads all
// inputs once, writes what is asked for and adds up. Bound by memory or by log and exp.

#include "cuda/activation.h"
#include "cuda/total.h"
#include "kernels/loss.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// What a formula makes of one element.
template <class T>
struct Terms {
  T value = 0, x = 0, target = 0, other = 0;
};

// share * x, and 0 where the share is 0, even of inf.
template <class T>
__device__ T share_of(T share, T x) {
  return share == T(0) ? T(0) : share * x;
}

// sigmoid and softplus = log(1 + e^x) at x and at -x, with one exp.
template <class T>
struct Logistic {
  T p, q, above, below;  // sigmoid(x), sigmoid(-x), softplus(x), softplus(-x)
  __device__ explicit Logistic(T x) {
    const T e = math::exp(-math::abs(x)), s = T(1) / (e + T(1)), rest = math::log1p(e);
    p = x < T(0) ? e * s : s;
    q = x < T(0) ? s : e * s;
    above = relu(x) + rest;
    below = relu(-x) + rest;
  }
};

template <class T>
__device__ Terms<T> of_difference(T value, T slope) {
  return {value, slope, -slope, T(0)};
}

template <class T, LossFormula kFormula>
__device__ Terms<T> formula(T x, T t, T other, const T (&number)[4]) {
  constexpr auto is = [](LossFormula f) { return f == kFormula; };
  if constexpr (is(LossFormula::squares)) {
    const T d = x - t;
    return of_difference(d * d * number[0], d * (T(2) * number[0]));
  } else if constexpr (is(LossFormula::piecewise)) {
    const T bend = number[0], curve = number[1], slope = number[2], level = number[3];
    const T d = x - t, size = math::abs(d);
    return size < bend ? of_difference(d * d * curve, d * (T(2) * curve))
                       : of_difference(size * slope - level, math::sign(d) * slope);
  } else if constexpr (is(LossFormula::log_squares)) {
    const T d = math::log1p(x) - math::log1p(t);
    return {d * d, T(2) * d / (x + T(1)), T(-2) * d / (t + T(1)), T(0)};
  } else if constexpr (is(LossFormula::log_cosh)) {
    // cosh a - 1 = e^2 / 2 (1 + e) with e = exp(a) - 1 keeps the digits of a small a = |d|.
    const T d = x - t, a = math::abs(d);
    const T e = math::expm1(math::min(T(40), a)), q = T(1) / (e + T(1));  // exp(-a)
    const T part = e * q;                                                 // 1 - exp(-a)
    const T value = a < T(1) ? math::log1p(e * part * T(0.5))
                             : a - T(0.693147180559945309417) + math::log1p(q * q);
    const T slope = part * (q + T(1)) / (q * q + T(1));
    return of_difference(value, d < T(0) ? -slope : slope);
  } else if constexpr (is(LossFormula::binary)) {
    // Logarithms are at least -100, as PyTorch has it.
    const T rest = T(1) - x, log_x = math::log(x), log_rest = math::log1p(-x);
    return {-(t * math::max(T(-100), log_x) + (T(1) - t) * math::max(T(-100), log_rest)),
            (x - t) / math::max(T(1e-12), rest * x), log_rest - log_x, T(0)};
  } else if constexpr (is(LossFormula::logits)) {
    const Logistic<T> of(x);
    const T yes = other * t, no = T(1) - t;
    return {share_of(yes, of.below) + share_of(no, of.above), no * of.p - yes * of.q,
            other * of.below - of.above, T(0)};
  } else if constexpr (is(LossFormula::focal)) {
    // alpha_t ce m^gamma, m the probability of the wrong answer. m^gamma / m is 0 where m is, as
    // what it is multiplied by is smaller.
    const T alpha = number[0], gamma = number[1];
    const T yes_counts = alpha < T(0) ? T(1) : alpha,
            no_counts = alpha < T(0) ? T(1) : T(1) - alpha;
    const Logistic<T> of(x);
    const T no = T(1) - t, cross = share_of(t, of.below) + share_of(no, of.above);
    const T m = t * of.q + no * of.p;
    const bool some = m >= (sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022));
    const T power = gamma == T(2)   ? m * m
                    : gamma == T(0) ? T(1)
                    : some          ? math::exp(math::log(m) * gamma)
                                    : T(0);
    const T counts = t * yes_counts + no * no_counts;
    const T rate = gamma * (some ? power / m : T(0)), turn = (no - t) * (of.p * of.q);
    return {counts * cross * power,
            counts * ((no * of.p - t * of.q) * power + share_of(turn, cross) * rate),
            counts * ((of.below - of.above) * power + cross * rate * (of.q - of.p)) +
                (yes_counts - no_counts) * cross * power,
            T(0)};
  } else if constexpr (is(LossFormula::divergence)) {
    const bool logarithms = number[0] != T(0);
    const T share = logarithms ? math::exp(t) : t, gap = (logarithms ? t : math::log(t)) - x;
    const T value = share_of(share, gap);
    return {value, -share, logarithms ? value + share : gap + T(1), T(0)};
  } else if constexpr (is(LossFormula::hinge_embedding)) {
    const T gap = number[0] - x;
    const bool like = t == T(1), unlike = t == T(-1);
    return {(like ? T(0) : relu(gap)) + (unlike ? T(0) : x),
            (unlike ? T(0) : T(1)) - (!like && gap >= T(0) ? T(1) : T(0)), T(0), T(0)};
  } else if constexpr (is(LossFormula::ranking)) {
    const T d = x - other, z = number[0] - t * d;
    const bool on = z >= T(0);
    return {relu(z), on ? -t : T(0), on ? -d : T(0), on ? t : T(0)};
  } else if constexpr (is(LossFormula::soft_margin)) {
    const Logistic<T> of(t * x);
    return {of.below, -t * of.q, -x * of.q, T(0)};
  } else if constexpr (is(LossFormula::poisson)) {
    // e^x - t x, or x - t log(x + eps); Stirling's t log t - t + log(2 pi t) / 2 above t = 1.
    const bool logarithm = number[0] != T(0), full = number[1] != T(0);
    const T raised = x + number[2];
    const T rate = logarithm ? math::exp(x) : x, log_rate = logarithm ? x : math::log(raised);
    Terms<T> y{rate - t * log_rate, logarithm ? rate - t : T(1) - t / raised, -log_rate, T(0)};
    if (full && t > T(1)) {
      const T log_t = math::log(t);
      y.value += (t * log_t - t) + (log_t * T(0.5) + T(0.918938533204672741780));
      y.target += log_t + T(0.5) / t;
    }
    return y;
  } else {
    static_assert(is(LossFormula::gaussian));
    // NaN where the variance is negative.
    const T v = math::max(number[0], other), d = x - t, over = d / v, q = d * over;
    const T value = T(0.5) * (math::log(v) + q) + number[1];
    return {other < T(0) ? kInf<T> - kInf<T> : value, over, -over, T(0.5) * (T(1) - q) / v};
  }
}

// What stands for the third array where there is none.
template <class T>
__device__ T otherwise(LossFormula formula) {
  return formula == LossFormula::ranking ? T(0) : T(1);
}

// One element: writes its loss and slopes, adds the loss.
template <class T, LossFormula kFormula>
struct AddElement {
  ElementLoss<T> s;
  const T* dy;
  int64_t dy_step;
  T scale;
  T *y, *dx, *dtarget, *dother;

  __device__ void operator()(int64_t i, Sum* sums) const {
    const Terms<T> terms = formula<T, kFormula>(
        s.x[i], s.target[i], s.other ? s.other[i] : otherwise<T>(kFormula), s.number);
    const T weight = s.weight ? s.weight[i] : T(1), value = terms.value * weight;
    if (y) y[i] = value;
    sums[0].add(static_cast<double>(value));
    if (!dx && !dtarget && !dother) return;
    const T factor = scale * dy[i * dy_step] * weight;
    if (dx) dx[i] = terms.x * factor;
    if (dtarget) dtarget[i] = terms.target * factor;
    if (dother) dother[i] = terms.other * factor;
  }
};

template <class T, LossFormula kFormula>
void run(const ElementLoss<T>& s, const T* dy, int64_t dy_step, T scale, T* y, double* sum,
         T* const* slopes) {
  const Scratch<double> own(sum ? 0 : 1);
  total<1>(s.n, sum ? sum : static_cast<double*>(own),
           AddElement<T, kFormula>{s, dy, dy_step, scale, y, slopes[0], slopes[1], slopes[2]});
}

template <class T>
void element_loss(const ElementLoss<T>& s, const T* dy, int64_t dy_step, T scale, T* y,
                  double* total, T* const* slopes) {
  switch (s.formula) {
#define DLCORE_FORMULA(name) \
  case LossFormula::name:    \
    return run<T, LossFormula::name>(s, dy, dy_step, scale, y, total, slopes);
    DLCORE_FORMULA(squares)
    DLCORE_FORMULA(piecewise)
    DLCORE_FORMULA(log_squares)
    DLCORE_FORMULA(log_cosh)
    DLCORE_FORMULA(binary)
    DLCORE_FORMULA(logits)
    DLCORE_FORMULA(focal)
    DLCORE_FORMULA(divergence)
    DLCORE_FORMULA(hinge_embedding)
    DLCORE_FORMULA(ranking)
    DLCORE_FORMULA(soft_margin)
    DLCORE_FORMULA(poisson)
    DLCORE_FORMULA(gaussian)
#undef DLCORE_FORMULA
  }
}

}  // namespace

DLCORE_CUDA_EXPORT(element_loss)

}  // namespace DLCORE_ISA
}  // namespace dlcore
