// The formulas of losses that are made element by element, with their gradients: functions of
// vectors, run over a block that stays in L1.
#pragma once

#include "cpu/simd_activation.h"
#include "kernels/loss.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// A block of whole vectors. A null pointer: the result is not asked for.
template <class T>
struct Block {
  const T *x, *target, *other;
  T *value, *slope[3];
  int64_t n;
};

// What a formula makes of one vector; what is not asked for need not be there.
template <class T>
struct Terms {
  Vec<T> value{}, x{}, target{}, other{};
};

// Losses alone are a loop of their own, from which what only slopes need is left out.
template <class T, class F>
DLCORE_INLINE void each_vector(const Block<T> b, T otherwise, const F& f) {
  const auto terms = [=](int64_t i) {
    const Vec<T> c = b.other ? load<T>(b.other + i) : splat<T>(otherwise);
    return f(load<T>(b.x + i), load<T>(b.target + i), c);
  };
  if (!b.slope[0] && !b.slope[1] && !b.slope[2]) {
    for (int64_t i = 0; i < b.n; i += kLanes<T>) store<T>(b.value + i, terms(i).value);
    return;
  }
  for (int64_t i = 0; i < b.n; i += kLanes<T>) {
    const Terms<T> y = terms(i);
    if (b.value) store<T>(b.value + i, y.value);
    if (b.slope[0]) store<T>(b.slope[0] + i, y.x);
    if (b.slope[1]) store<T>(b.slope[1] + i, y.target);
    if (b.slope[2]) store<T>(b.slope[2] + i, y.other);
  }
}

template <class T>
DLCORE_INLINE Vec<T> choose(Mask<T> mask, Vec<T> a, Vec<T> b) {
  return mask ? a : b;
}
// max(0, x); NaN stays NaN.
template <class T>
DLCORE_INLINE Vec<T> positive(Vec<T> x) {
  return max<T>(Vec<T>{}, x);
}
// share * x, and 0 where the share is 0, even of inf.
template <class T>
DLCORE_INLINE Vec<T> share_of(Vec<T> share, Vec<T> x) {
  return choose<T>(share == T(0), Vec<T>{}, share * x);
}

// log(1 + x) for 0 <= x <= 1, or NaN: twice the area tangent of x / (2 + x), by Taylor's series,
// whose first term left out is below a hundredth of a rounding. A third of log1p's instructions.
template <class T>
DLCORE_INLINE Vec<T> log1p_of_unit(Vec<T> x) {
  const Vec<T> s = x / (x + T(2)), z = s * s;
  Vec<T> series;
  if constexpr (kIsFloat<T>)
    series = polynomial<T>(z, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5,
                           2.0 / 3);
  else
    series = polynomial<T>(z, 2.0 / 35, 2.0 / 33, 2.0 / 31, 2.0 / 29, 2.0 / 27, 2.0 / 25, 2.0 / 23,
                           2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9,
                           2.0 / 7, 2.0 / 5, 2.0 / 3);
  return multiply_add<T>(s * z, series, s + s);
}

// sigmoid and softplus = log(1 + e^x) at x and at -x, with one exp, as they are asked for.
template <class T>
struct Logistic {
  Vec<T> p{}, q{};          // sigmoid(x), sigmoid(-x)
  Vec<T> above{}, below{};  // softplus(x), softplus(-x)
  DLCORE_INLINE_MEMBER Logistic(Vec<T> x, bool sigmoids, bool logs) {
    const Vec<T> e = exp_minus_abs<T>(x);
    if (sigmoids) {
      const Vec<T> s = T(1) / (e + T(1));
      const Mask<T> negative = x < T(0);
      p = choose<T>(negative, e * s, s);
      q = choose<T>(negative, s, e * s);
    }
    if (logs) {
      const Vec<T> rest = log1p_of_unit<T>(e);
      above = positive<T>(x) + rest;
      below = positive<T>(-x) + rest;
    }
  }
};

template <class T>
void squares(const Block<T> b, const T* number) {
  const T factor = number[0];
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> d = x - t;
    Terms<T> y;
    y.value = d * d * factor;
    y.x = d * (T(2) * factor);
    y.target = -y.x;
    return y;
  });
}

template <class T>
void piecewise(const Block<T> b, const T* number) {
  const T bend = number[0], curve = number[1], slope = number[2], level = number[3];
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> d = x - t, size = abs<T>(d);
    const Mask<T> inside = size < bend;
    Terms<T> y;
    y.value = choose<T>(inside, d * d * curve, size * slope - level);
    y.x = choose<T>(inside, d * (T(2) * curve), sign<T>(d) * slope);
    y.target = -y.x;
    return y;
  });
}

template <class T>
void log_squares(const Block<T> b, const T*) {
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> d = log1p<T>(x) - log1p<T>(t);
    Terms<T> y;
    y.value = d * d;
    y.x = T(2) * d / (x + T(1));
    y.target = T(-2) * d / (t + T(1));
    return y;
  });
}

// cosh a - 1 = e^2 / 2 (1 + e) with e = exp(a) - 1 keeps the digits of a small a = |d|.
template <class T>
void log_cosh(const Block<T> b, const T*) {
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> d = x - t, a = abs<T>(d);
    const Vec<T> e = expm1<T>(min<T>(splat<T>(T(40)), a));
    const Vec<T> q = T(1) / (e + T(1));  // exp(-a)
    const Vec<T> part = e * q;           // 1 - exp(-a)
    const Mask<T> small = a < T(1);
    Terms<T> y;
    y.value = choose<T>(small, Vec<T>{}, a - T(0.693147180559945309417)) +
              log1p_of_unit<T>(choose<T>(small, e * part * T(0.5), q * q));
    y.x = copy_sign<T>(part * (q + T(1)) / (q * q + T(1)), d);
    y.target = -y.x;
    return y;
  });
}

// Logarithms are at least -100, as PyTorch has it.
template <class T>
void binary(const Block<T> b, const T*) {
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> rest = T(1) - x, least = splat<T>(T(-100));
    Terms<T> y;
    if (b.value || b.slope[1]) {
      const Vec<T> log_x = log<T>(x), log_rest = log1p<T>(-x);
      y.value = -(t * max<T>(least, log_x) + (T(1) - t) * max<T>(least, log_rest));
      y.target = log_rest - log_x;
    }
    y.x = (x - t) / max<T>(splat<T>(T(1e-12)), rest * x);
    return y;
  });
}

template <class T>
void logits(const Block<T> b, const T*) {
  each_vector<T>(b, T(1), [=](Vec<T> x, Vec<T> t, Vec<T> counts) {
    const Logistic<T> of(x, b.slope[0], b.value || b.slope[1]);
    const Vec<T> yes = counts * t, no = T(1) - t;
    Terms<T> y;
    y.value = share_of<T>(yes, of.below) + share_of<T>(no, of.above);
    y.x = no * of.p - yes * of.q;
    y.target = counts * of.below - of.above;
    return y;
  });
}

// alpha_t ce m^gamma, m the probability of the wrong answer. m^gamma / m is 0 where m is, as what
// it is multiplied by is smaller.
template <class T>
void focal(const Block<T> b, const T* number) {
  const T alpha = number[0], gamma = number[1];
  const bool even = alpha < T(0);
  const T yes_counts = even ? T(1) : alpha, no_counts = even ? T(1) : T(1) - alpha;
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Logistic<T> of(x, true, true);
    const Vec<T> no = T(1) - t;
    const Vec<T> cross = share_of<T>(t, of.below) + share_of<T>(no, of.above);
    const Vec<T> m = t * of.q + no * of.p;
    const Mask<T> some = m >= std::numeric_limits<T>::min();
    Vec<T> power = m * m;
    if (gamma != T(2)) power = choose<T>(some, exp<T>(log<T>(m) * gamma), Vec<T>{});
    if (gamma == T(0)) power = splat<T>(T(1));
    const Vec<T> counts = t * yes_counts + no * no_counts;
    Terms<T> y;
    y.value = counts * cross * power;
    if (b.slope[0] || b.slope[1]) {
      const Vec<T> rate = gamma * choose<T>(some, power / m, Vec<T>{});
      const Vec<T> turn = (no - t) * (of.p * of.q);
      y.x = counts * ((no * of.p - t * of.q) * power + share_of<T>(turn, cross) * rate);
      y.target = counts * ((of.below - of.above) * power + cross * rate * (of.q - of.p)) +
                 (yes_counts - no_counts) * cross * power;
    }
    return y;
  });
}

template <class T>
void divergence(const Block<T> b, const T* number) {
  const bool logarithms = number[0] != T(0);
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> share = logarithms ? exp<T>(t) : t;
    const Vec<T> gap = (logarithms ? t : log<T>(t)) - x;
    Terms<T> y;
    y.value = share_of<T>(share, gap);
    y.x = -share;
    y.target = logarithms ? y.value + share : gap + T(1);
    return y;
  });
}

template <class T>
void hinge_embedding(const Block<T> b, const T* number) {
  const T margin = number[0];
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> gap = margin - x;
    const Mask<T> like = t == T(1), unlike = t == T(-1);
    const Vec<T> one = splat<T>(T(1)), none{};
    Terms<T> y;
    y.value = choose<T>(like, none, positive<T>(gap)) + choose<T>(unlike, none, x);
    y.x = choose<T>(unlike, none, one) - choose<T>(~like & (gap >= T(0)), one, none);
    return y;
  });
}

template <class T>
void ranking(const Block<T> b, const T* number) {
  const T margin = number[0];
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T> other) {
    const Vec<T> d = x - other, z = margin - t * d;
    const Mask<T> on = z >= T(0);
    Terms<T> y;
    y.value = positive<T>(z);
    y.other = choose<T>(on, t, Vec<T>{});
    y.x = -y.other;
    y.target = choose<T>(on, -d, Vec<T>{});
    return y;
  });
}

template <class T>
void soft_margin(const Block<T> b, const T*) {
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Logistic<T> of(t * x, b.slope[0] || b.slope[1], b.value);
    Terms<T> y;
    y.value = of.below;
    y.x = -t * of.q;
    y.target = -x * of.q;
    return y;
  });
}

// e^x - t x, or x - t log(x + eps); Stirling's t log t - t + log(2 pi t) / 2 above t = 1.
template <class T>
void poisson(const Block<T> b, const T* number) {
  const bool logarithm = number[0] != T(0), full = number[1] != T(0);
  const T eps = number[2];
  each_vector<T>(b, T(0), [=](Vec<T> x, Vec<T> t, Vec<T>) {
    const Vec<T> raised = x + eps;
    const Vec<T> rate = logarithm ? exp<T>(x) : x, log_rate = logarithm ? x : log<T>(raised);
    Terms<T> y;
    y.value = rate - t * log_rate;
    y.x = logarithm ? rate - t : T(1) - t / raised;
    y.target = -log_rate;
    if (full) {
      const Mask<T> many = t > T(1);
      const Vec<T> log_t = log<T>(t), none{};
      constexpr T kHalfLog2Pi = T(0.918938533204672741780);
      y.value += choose<T>(many, (t * log_t - t) + (log_t * T(0.5) + kHalfLog2Pi), none);
      y.target += choose<T>(many, log_t + T(0.5) / t, none);
    }
    return y;
  });
}

// NaN where the variance is negative.
template <class T>
void gaussian(const Block<T> b, const T* number) {
  const T eps = number[0], constant = number[1];
  each_vector<T>(b, T(1), [=](Vec<T> x, Vec<T> t, Vec<T> variance) {
    const Vec<T> v = max<T>(splat<T>(eps), variance), d = x - t;
    const Vec<T> over = d / v, q = d * over;
    Terms<T> y;
    y.value = T(0.5) * (log<T>(v) + q) + constant;
    y.value = choose<T>(variance < T(0), splat<T>(std::numeric_limits<T>::quiet_NaN()), y.value);
    y.x = over;
    y.target = -over;
    y.other = T(0.5) * (T(1) - q) / v;
    return y;
  });
}

template <class T>
__attribute__((noinline)) void run_formula(LossFormula formula, const Block<T>& b,
                                           const T* number) {
  switch (formula) {
    case LossFormula::squares:
      return squares<T>(b, number);
    case LossFormula::piecewise:
      return piecewise<T>(b, number);
    case LossFormula::log_squares:
      return log_squares<T>(b, number);
    case LossFormula::log_cosh:
      return log_cosh<T>(b, number);
    case LossFormula::binary:
      return binary<T>(b, number);
    case LossFormula::logits:
      return logits<T>(b, number);
    case LossFormula::focal:
      return focal<T>(b, number);
    case LossFormula::divergence:
      return divergence<T>(b, number);
    case LossFormula::hinge_embedding:
      return hinge_embedding<T>(b, number);
    case LossFormula::ranking:
      return ranking<T>(b, number);
    case LossFormula::soft_margin:
      return soft_margin<T>(b, number);
    case LossFormula::poisson:
      return poisson<T>(b, number);
    case LossFormula::gaussian:
      return gaussian<T>(b, number);
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
