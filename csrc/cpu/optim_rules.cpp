// The optimizers beside SGD and Adam: one loop over all tensors, the update of a vector by its
// rule. Bound by memory. A tensor's last, partial vector is stepped in padded copies of its rows,
// so that each rule stands in the object once.
//
// In the formulas g is the gradient (-gradient to maximize) + weight_decay p, or p is shrunk first
// where the decay is decoupled; s0, s1, s2 are the states, a0, a1, a2 the tensor's own numbers.

#include "cpu/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// One tensor's elements from some place on.
template <class T>
struct Row {
  T* param;
  const T* grad;
  T* state[kMostStates];
  const T* a;  // its own numbers
};

template <class T>
DLCORE_INLINE Vec<T> change(T* p, Vec<T> v) {
  store<T>(p, v);
  return v;
}

// s = beta s + (1 - beta) x
template <class T>
DLCORE_INLINE Vec<T> decay(T* s, T beta, T one_minus_beta, Vec<T> x) {
  return change<T>(s, beta * load<T>(s) + one_minus_beta * x);
}
template <class T>
DLCORE_INLINE Vec<T> mean(const Adaptive<T>& o, T* s, Vec<T> g) {
  return change<T>(s, load<T>(s) + (g - load<T>(s)) * o.one_minus_beta1);
}
template <class T>
DLCORE_INLINE Vec<T> square(const Adaptive<T>& o, T* s, Vec<T> g) {
  return decay<T>(s, o.beta2, o.one_minus_beta2, g * g);
}

// What is subtracted from p. `i` counts elements; s0 is row.state[0] + i.

// s0 += g^2;  a0 g / (sqrt(s0) + eps)
struct Adagrad {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    T* const s = r.state[0] + i;
    return r.a[0] * g / (sqrt<T>(change<T>(s, load<T>(s) + g * g)) + o.eps);
  }
};

// s0 = beta2 s0 + (1 - beta2) g^2;  d = sqrt(s1 + eps) / sqrt(s0 + eps) g, s1 the same of d^2;  a0
// d
struct Adadelta {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    const Vec<T> std = sqrt<T>(square<T>(o, r.state[0] + i, g) + o.eps);
    const Vec<T> delta = sqrt<T>(load<T>(r.state[1] + i) + o.eps) / std * g;
    square<T>(o, r.state[1] + i, delta);
    return r.a[0] * delta;
  }
};

// s0 = beta2 s0 + (1 - beta2) g^2;  d = g / (sqrt(s0) + eps), centered sqrt(s0 - s1^2) with s1 the
// mean of g, of beta2 too;  a0 d, or with momentum s2 = momentum s2 + d and a0 s2.
// Where rounding makes the variance negative it counts as 0.
struct Rmsprop {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    Vec<T> variance = square<T>(o, r.state[0] + i, g);
    if (r.state[1]) {
      T* const s = r.state[1] + i;
      const Vec<T> m = change<T>(s, load<T>(s) + (g - load<T>(s)) * o.one_minus_beta2);
      variance = max<T>(Vec<T>{}, variance - m * m);
    }
    Vec<T> d = g / (sqrt<T>(variance) + o.eps);
    if (r.state[2]) d = change<T>(r.state[2] + i, o.momentum * load<T>(r.state[2] + i) + d);
    return r.a[0] * d;
  }
};

// s0 = mean of g;  s1 = max(beta2 s1, |g| + eps);  a0 s0 / s1
struct Adamax {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    const Vec<T> m = mean<T>(o, r.state[0] + i, g);
    T* const s = r.state[1] + i;
    return r.a[0] * m / change<T>(s, max<T>(o.beta2 * load<T>(s), abs<T>(g) + o.eps));
  }
};

// s0, s1 = means of g and g^2;  (a0 g + a1 s0) / (a2 sqrt(s1) + eps)
struct Nadam {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    const Vec<T> m = mean<T>(o, r.state[0] + i, g);
    const Vec<T> v = square<T>(o, r.state[1] + i, g);
    return (r.a[0] * g + r.a[1] * m) / (r.a[2] * sqrt<T>(v) + o.eps);
  }
};

// s0, s1 = means of g and g^2;  a0 s0 / (sqrt(s1) + eps), a0 s0 where a1 is 0 (v says little yet)
struct Radam {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    const Vec<T> m = r.a[0] * mean<T>(o, r.state[0] + i, g);
    const Vec<T> v = square<T>(o, r.state[1] + i, g);
    return r.a[1] == 0 ? m : m / (sqrt<T>(v) + o.eps);
  }
};

// a0 sign(beta1 s0 + (1 - beta1) g), then s0 = beta2 s0 + (1 - beta2) g
struct Lion {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>& o, const Row<T>& r, int64_t i,
                                            Vec<T>, Vec<T> g) {
    const Vec<T> way = o.beta1 * load<T>(r.state[0] + i) + o.one_minus_beta1 * g;
    decay<T>(r.state[0] + i, o.beta2, o.one_minus_beta2, g);
    return r.a[0] * sign<T>(way);
  }
};

// a0 (p - g): p moves towards g.
struct Average {
  template <class T>
  static DLCORE_INLINE_MEMBER Vec<T> update(const Adaptive<T>&, const Row<T>& r, int64_t, Vec<T> p,
                                            Vec<T> g) {
    return r.a[0] * (p - g);
  }
};

template <class T, class Rule>
void step_vectors(const Adaptive<T>& step, const Row<T>& row, int64_t n, double*) {
  const Adaptive<T> o = step;  // which no store can change
  const Row<T> r = row;
  const T sign = o.maximize ? T(-1) : T(1);
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    Vec<T> p = load<T>(r.param + i), g = load<T>(r.grad + i) * sign;
    if (o.decoupled)
      p *= o.shrink;
    else if (o.weight_decay != 0)
      g += o.weight_decay * p;
    store<T>(r.param + i, p - Rule::template update<T>(o, r, i, p, g));
  }
}

// LAMB's first pass: s0, s1 = means of g and g^2, and the sums of p^2 and u^2 over n elements with
//   u = a1 s0 / (a2 sqrt(s1) + eps) + weight_decay p
// Its second: p -= a0 |p| / |u| u. u is computed anew: cheaper than to store it.
template <class T>
DLCORE_INLINE Vec<T> lamb_update(const Adaptive<T>& o, const T* a, Vec<T> p, Vec<T> m, Vec<T> v) {
  return a[1] * m / (a[2] * sqrt<T>(v) + o.eps) + o.weight_decay * p;
}
template <class T>
void lamb_moments(const Adaptive<T>& step, const Row<T>& row, int64_t n, double* sums) {
  const Adaptive<T> o = step;
  const Row<T> r = row;
  const T sign = o.maximize ? T(-1) : T(1);
  Vec<double> ps[2] = {}, us[2] = {};
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const Vec<T> p = load<T>(r.param + i), g = load<T>(r.grad + i) * sign;
    const Vec<T> m = mean<T>(o, r.state[0] + i, g), v = square<T>(o, r.state[1] + i, g);
    Vec<T> u = lamb_update<T>(o, r.a, p, m, v);
    if (n - i < kLanes<T>) [[unlikely]]  // padding
      for (int64_t lane = n - i; lane < kLanes<T>; ++lane) u[lane] = 0;
    in_double<T>(p, [&](int half, Vec<double> d) { ps[half] += d * d; });
    in_double<T>(u, [&](int half, Vec<double> d) { us[half] += d * d; });
  }
  sums[0] += hsum<double>(ps[0] + ps[1]);
  sums[1] += hsum<double>(us[0] + us[1]);
}
template <class T>
void lamb_move(const Adaptive<T>& step, const Row<T>& row, int64_t n, double* ratio) {
  const Adaptive<T> o = step;
  const Row<T> r = row;
  const T size = r.a[0] * static_cast<T>(*ratio);
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const Vec<T> p = load<T>(r.param + i);
    const Vec<T> m = load<T>(r.state[0] + i), v = load<T>(r.state[1] + i);
    store<T>(r.param + i, p - size * lamb_update<T>(o, r.a, p, m, v));
  }
}

// Steps n elements, a multiple of the lanes but for the last call of a piece, whose rows are
// padded.
template <class T>
using Vectors = void (*)(const Adaptive<T>&, const Row<T>&, int64_t n, double* numbers);

template <class T>
void step_piece(const Adaptive<T>& o, Vectors<T> vectors, int64_t tensor, int64_t begin,
                int64_t end, double* numbers) {
  Row<T> row{o.param[tensor] + begin, o.grad[tensor] + begin, {}, o.scalar + kScalars * tensor};
  for (int s = 0; s < kMostStates; ++s)
    row.state[s] = o.state[s] ? o.state[s][tensor] + begin : nullptr;
  const int64_t rest = (end - begin) % kLanes<T>, whole = end - begin - rest;
  if (whole > 0) vectors(o, row, whole, numbers);
  if (rest == 0) return;
  const size_t bytes = static_cast<size_t>(rest) * sizeof(T);
  T padded[2 + kMostStates][kLanes<T>] = {};
  Row<T> part{padded[0], padded[1], {}, row.a};
  std::memcpy(padded[0], row.param + whole, bytes);
  std::memcpy(padded[1], row.grad + whole, bytes);
  for (int s = 0; s < kMostStates; ++s) {
    if (!row.state[s]) continue;
    part.state[s] = padded[2 + s];
    std::memcpy(part.state[s], row.state[s] + whole, bytes);
  }
  vectors(o, part, rest, numbers);
  std::memcpy(row.param + whole, part.param, bytes);
  for (int s = 0; s < kMostStates; ++s)
    if (row.state[s]) std::memcpy(row.state[s] + whole, part.state[s], bytes);
}

template <class T>
void lamb_step(const Adaptive<T>& step) {
  const int64_t places = partial_sums(step.count, step.start[step.count]);
  double* const partial = step.partial;
  for_each_piece(step.count, step.start, [=, &step](int64_t tensor, int64_t begin, int64_t end) {
    double sums[2] = {};
    step_piece<T>(step, lamb_moments<T>, tensor, begin, end, sums);
    const int64_t at = piece_place(step.start, tensor, begin);
    partial[at] = sums[0];
    partial[places + at] = sums[1];
  });
  const auto add = [](double a, double b) { return a + b; };
  double* const ratio = partial;  // of tensor t in place t, which no later tensor's sums are in
  for (int64_t t = 0; t < step.count; ++t) {
    const double p = join_pieces(step.start, t, partial, add);
    const double u = join_pieces(step.start, t, partial + places, add);
    ratio[t] = p == 0 || u == 0 ? 1 : __builtin_sqrt(p / u);
  }
  for_each_piece(step.count, step.start, [=, &step](int64_t tensor, int64_t begin, int64_t end) {
    step_piece<T>(step, lamb_move<T>, tensor, begin, end, ratio + tensor);
  });
}

template <class T>
Vectors<T> vectors_of(Rule rule) {
  switch (rule) {
    case Rule::kAdagrad:
      return step_vectors<T, Adagrad>;
    case Rule::kAdadelta:
      return step_vectors<T, Adadelta>;
    case Rule::kRmsprop:
      return step_vectors<T, Rmsprop>;
    case Rule::kAdamax:
      return step_vectors<T, Adamax>;
    case Rule::kNadam:
      return step_vectors<T, Nadam>;
    case Rule::kRadam:
      return step_vectors<T, Radam>;
    case Rule::kLion:
      return step_vectors<T, Lion>;
    default:
      return step_vectors<T, Average>;
  }
}

template <class T>
void adaptive_step(const Adaptive<T>& step) {
  if (step.rule == Rule::kLamb) return lamb_step<T>(step);
  const Vectors<T> vectors = vectors_of<T>(step.rule);
  for_each_piece(step.count, step.start, [=, &step](int64_t tensor, int64_t begin, int64_t end) {
    step_piece<T>(step, vectors, tensor, begin, end, nullptr);
  });
}

}  // namespace

DLCORE_EXPORT(adaptive_step)

}  // namespace DLCORE_ISA
}  // namespace dlcore
