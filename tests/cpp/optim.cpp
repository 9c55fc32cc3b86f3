// One step of each optimizer over two tensors, by PyTorch's formulas.
#include <algorithm>

#include "check.h"

namespace dlcore {
namespace {

// Two tensors of n / 3 and the rest, each output beginning as `before`.
template <class T>
struct Two {
  T* piece[2];
  Two(T* to, const Values<T>& before, int64_t middle) : piece{to, to + middle} {
    std::copy(before.begin(), before.end(), to);
  }
};

template <class T>
void sgd(int64_t n, bool momentum, bool nesterov, bool first) {
  const Values<T> p = numbers<T>(n, -1, 1), g = numbers<T>(n, -1, 1, 3),
                  b = numbers<T>(n, -1, 1, 5);
  const T lr = T(0.125), mu = T(0.875), dampening = T(0.25), decay = T(0.0625);
  const int64_t middle = n / 3, start[] = {0, middle, n};
  const T* const grads[] = {g.data(), g.data() + middle};
  Expected param, buffer;
  for (int64_t i = 0; i < n; ++i) {
    const Wide grad = -static_cast<Wide>(g[i]) + decay * static_cast<Wide>(p[i]);
    Wide step = grad, size = std::fabs(g[i]) + std::fabs(p[i]) + std::fabs(b[i]);
    if (momentum) {
      const Wide now = first ? grad : mu * static_cast<Wide>(b[i]) + (1 - dampening) * grad;
      buffer.push(now, size);
      step = nesterov ? grad + mu * now : now;
    }
    param.push(p[i] - lr * step, std::fabs(p[i]) + size);
  }
  check<T>("sgd_step", {{param, 3}, {buffer, 3}}, [&](const KernelTable<T>& k, T* const* to) {
    const Two<T> params(to[0], p, middle);
    const Two<T> buffers(to[1], momentum ? b : Values<T>(), middle);
    k.sgd_step({2, start, params.piece, grads, momentum ? buffers.piece : nullptr, lr, mu,
                dampening, decay, nesterov, true, first});
  });
}

template <class T>
void adam(int64_t n, bool amsgrad, bool decoupled) {
  const Values<T> p = numbers<T>(n, -1, 1), g = numbers<T>(n, -1, 1, 3),
                  m = numbers<T>(n, -1, 1, 5), v = numbers<T>(n, 0.1, 1, 7),
                  top = numbers<T>(n, 0.1, 1, 9);
  const T lr = T(0.125), beta1 = T(0.875), beta2 = T(0.75), eps = T(0.0625), decay = T(0.25);
  const T step_size[] = {lr, lr * 2}, root_scale[] = {1, 2};
  const int64_t middle = n / 3, start[] = {0, middle, n};
  const T* const grads[] = {g.data(), g.data() + middle};
  Expected param, mean, square, largest;
  for (int64_t i = 0; i < n; ++i) {
    const int tensor = i >= middle;
    Wide before = p[i], grad = -static_cast<Wide>(g[i]);
    if (decoupled)
      before *= 1 - lr * decay;
    else
      grad += decay * before;
    const Wide now = m[i] + (1 - beta1) * (grad - m[i]);
    const Wide spread = beta2 * static_cast<Wide>(v[i]) + (1 - beta2) * grad * grad;
    mean.push(now, 1 + std::fabs(m[i]));
    square.push(spread, 1 + v[i]);
    if (amsgrad) largest.push(std::max<Wide>(spread, top[i]), 1 + v[i]);
    const Wide root = std::sqrt(amsgrad ? std::max<Wide>(spread, top[i]) : spread);
    const Wide step = step_size[tensor] * now / (root_scale[tensor] * root + eps);
    param.push(before - step, 1 + std::fabs(p[i]));
  }
  check<T>("adam_step", {{param, 4}, {mean, 2}, {square, 3}, {largest, 3}},
           [&](const KernelTable<T>& k, T* const* to) {
             const Two<T> params(to[0], p, middle), means(to[1], m, middle),
                 squares(to[2], v, middle);
             const Two<T> tops(to[3], amsgrad ? top : Values<T>(), middle);
             k.adam_step({2, start, params.piece, grads, means.piece, squares.piece,
                          amsgrad ? tops.piece : nullptr, step_size, root_scale, 1 - beta1, beta2,
                          1 - beta2, eps, decay, 1 - lr * decay, decoupled, true});
           });
}

// What a rule makes of one element: the new parameter and states, from long double ones.
struct Element {
  Wide p, g, s[3];
};
struct RuleCase {
  Rule rule;
  int states;
  double scalar[3];
  bool decoupled;
  void (*update)(Element&, const double* a);
};
constexpr double kBeta1 = 0.875, kBeta2 = 0.75, kEps = 0.0625, kMu = 0.5, kDecay = 0.25,
                 kShrink = 0.9375;
void means(Element& e) {
  e.s[0] += (1 - kBeta1) * (e.g - e.s[0]);
  e.s[1] = kBeta2 * e.s[1] + (1 - kBeta2) * e.g * e.g;
}
const RuleCase kRuleCases[] = {
    {Rule::kAdagrad,
     1,
     {0.125},
     false,
     [](Element& e, const double* a) {
       e.s[0] += e.g * e.g;
       e.p -= a[0] * e.g / (std::sqrt(e.s[0]) + kEps);
     }},
    {Rule::kAdadelta,
     2,
     {0.125},
     true,
     [](Element& e, const double* a) {
       e.s[0] = kBeta2 * e.s[0] + (1 - kBeta2) * e.g * e.g;
       const Wide d = std::sqrt(e.s[1] + kEps) / std::sqrt(e.s[0] + kEps) * e.g;
       e.s[1] = kBeta2 * e.s[1] + (1 - kBeta2) * d * d;
       e.p -= a[0] * d;
     }},
    {Rule::kRmsprop,
     1,
     {0.125},
     false,
     [](Element& e, const double* a) {
       e.s[0] = kBeta2 * e.s[0] + (1 - kBeta2) * e.g * e.g;
       e.p -= a[0] * e.g / (std::sqrt(e.s[0]) + kEps);
     }},
    {Rule::kRmsprop,
     3,
     {0.125},
     false,
     [](Element& e, const double* a) {
       e.s[0] = kBeta2 * e.s[0] + (1 - kBeta2) * e.g * e.g;
       e.s[1] += (1 - kBeta2) * (e.g - e.s[1]);
       e.s[2] = kMu * e.s[2] + e.g / (std::sqrt(e.s[0] - e.s[1] * e.s[1]) + kEps);
       e.p -= a[0] * e.s[2];
     }},
    {Rule::kAdamax,
     2,
     {0.125},
     true,
     [](Element& e, const double* a) {
       e.s[0] += (1 - kBeta1) * (e.g - e.s[0]);
       e.s[1] = std::max<Wide>(kBeta2 * e.s[1], std::fabs(e.g) + kEps);
       e.p -= a[0] * e.s[0] / e.s[1];
     }},
    {Rule::kNadam,
     2,
     {0.125, 0.25, 2},
     false,
     [](Element& e, const double* a) {
       means(e);
       e.p -= (a[0] * e.g + a[1] * e.s[0]) / (a[2] * std::sqrt(e.s[1]) + kEps);
     }},
    {Rule::kRadam,
     2,
     {0.125, 1},
     true,
     [](Element& e, const double* a) {
       means(e);
       e.p -= a[0] * e.s[0] / (std::sqrt(e.s[1]) + kEps);
     }},
    {Rule::kRadam,
     2,
     {0.125, 0},
     false,
     [](Element& e, const double* a) {
       means(e);
       e.p -= a[0] * e.s[0];
     }},
    {Rule::kAverage,
     0,
     {0.125},
     false,
     [](Element& e, const double* a) { e.p -= a[0] * (e.p - e.g); }},
};

// The arguments of adaptive_step over two tensors, and what they point to.
template <class T>
struct Step {
  Values<T> own;
  std::vector<double> partial;
  Adaptive<T> step;

  Step(Rule rule, const int64_t* start, T* const* params, const T* const* grads,
       const double* scalar)
      : partial(static_cast<size_t>(2 * partial_sums(2, start[2]))), step{} {
    for (int i = 0; i < 2 * kScalars; ++i) own.push_back(static_cast<T>(scalar[i % kScalars]));
    step.rule = rule;
    step.count = 2;
    step.start = start;
    step.param = params;
    step.grad = grads;
    step.scalar = own.data();
    step.beta1 = T(kBeta1);
    step.one_minus_beta1 = T(1 - kBeta1);
    step.beta2 = T(kBeta2);
    step.one_minus_beta2 = T(1 - kBeta2);
    step.eps = T(kEps);
    step.momentum = T(kMu);
    step.shrink = T(kShrink);
    step.partial = partial.data();
  }
};

template <class T>
void adaptive(int64_t n, const RuleCase& c) {
  const bool average = c.rule == Rule::kAverage;
  const Values<T> p = numbers<T>(n, -1, 1), g = numbers<T>(n, -1, 1, 3);
  // A variance above the mean's square, so that it does not cancel.
  const Values<T> before[] = {numbers<T>(n, 1, 2, 5), numbers<T>(n, 0.1, 0.5, 7),
                              numbers<T>(n, -1, 1, 9)};
  const int64_t middle = n / 3, start[] = {0, middle, n};
  const T* const grads[] = {g.data(), g.data() + middle};
  Expected param, state[3];
  for (int64_t i = 0; i < n; ++i) {
    Element e{p[i],
              average ? g[i] : -static_cast<Wide>(g[i]),
              {before[0][i], before[1][i], before[2][i]}};
    if (c.decoupled)
      e.p *= kShrink;
    else if (!average)
      e.g += kDecay * e.p;
    c.update(e, c.scalar);
    param.push(e.p, 1 + std::fabs(e.p));
    for (int s = 0; s < c.states; ++s) state[s].push(e.s[s], 2 + std::fabs(e.s[s]));
  }
  check<T>("adaptive_step", {{param, 6}, {state[0], 4}, {state[1], 4}, {state[2], 12}},
           [&](const KernelTable<T>& k, T* const* to) {
             const Two<T> params(to[0], p, middle);
             const Two<T> s0(to[1], c.states > 0 ? before[0] : Values<T>(), middle),
                 s1(to[2], c.states > 1 ? before[1] : Values<T>(), middle),
                 s2(to[3], c.states > 2 ? before[2] : Values<T>(), middle);
             const Two<T>* const all[] = {&s0, &s1, &s2};
             Step<T> made(c.rule, start, params.piece, grads, c.scalar);
             for (int s = 0; s < c.states; ++s) made.step.state[s] = all[s]->piece;
             made.step.weight_decay = average ? 0 : T(kDecay);
             made.step.decoupled = c.decoupled;
             made.step.maximize = !average;
             k.adaptive_step(made.step);
           });
}

// The sign of a number near 0 may be either: far from it here.
template <class T>
void lion(int64_t n) {
  const Values<T> p = numbers<T>(n, -1, 1), g = numbers<T>(n, -1, 1, 3),
                  m = numbers<T>(n, 0.2, 1, 5);
  const double scalar[3] = {0.125};
  const int64_t middle = n / 3, start[] = {0, middle, n};
  const T* const grads[] = {g.data(), g.data() + middle};
  Expected param, mean;
  for (int64_t i = 0; i < n; ++i) {
    param.push(p[i] * Wide(kShrink) - scalar[0], 1 + std::fabs(p[i]));
    mean.push(kBeta2 * static_cast<Wide>(m[i]) + (1 - kBeta2) * static_cast<Wide>(g[i]), 2);
  }
  check<T>("adaptive_step", {{param, 2}, {mean, 2}}, [&](const KernelTable<T>& k, T* const* to) {
    const Two<T> params(to[0], p, middle), means(to[1], m, middle);
    Step<T> made(Rule::kLion, start, params.piece, grads, scalar);
    made.step.state[0] = means.piece;
    made.step.decoupled = true;
    k.adaptive_step(made.step);
  });
}

template <class T>
void lamb(int64_t n) {
  const Values<T> p = numbers<T>(n, -1, 1), g = numbers<T>(n, -1, 1, 3),
                  m = numbers<T>(n, -1, 1, 5), v = numbers<T>(n, 0.1, 1, 7);
  const double a[3] = {0.125, 2, 0.5};
  const int64_t middle = n / 3, start[] = {0, middle, n};
  const T* const grads[] = {g.data(), g.data() + middle};
  Expected param, mean, square;
  for (const int tensor : {0, 1}) {
    std::vector<Wide> u;
    Wide p2 = 0, u2 = 0;
    for (int64_t i = start[tensor]; i < start[tensor + 1]; ++i) {
      Element e{p[i], g[i], {m[i], v[i]}};
      means(e);
      u.push_back(a[1] * e.s[0] / (a[2] * std::sqrt(e.s[1]) + kEps) + kDecay * e.p);
      p2 += e.p * e.p;
      u2 += u.back() * u.back();
      mean.push(e.s[0], 2);
      square.push(e.s[1], 2);
    }
    for (int64_t i = start[tensor]; i < start[tensor + 1]; ++i) {
      const Wide now = p[i] - a[0] * std::sqrt(p2 / u2) * u[i - start[tensor]];
      param.push(now, 1 + std::fabs(now));
    }
  }
  check<T>("adaptive_step", {{param, 6}, {mean, 4}, {square, 4}},
           [&](const KernelTable<T>& k, T* const* to) {
             const Two<T> params(to[0], p, middle), means(to[1], m, middle),
                 squares(to[2], v, middle);
             Step<T> made(Rule::kLamb, start, params.piece, grads, a);
             made.step.state[0] = means.piece;
             made.step.state[1] = squares.piece;
             made.step.weight_decay = T(kDecay);
             k.adaptive_step(made.step);
           });
}

// Norms are double: what a norm is, as two numbers of T where T is float.
template <class T>
void norms_and_clipping(int64_t n) {
  const Values<T> x = numbers<T>(n, -1, 1);
  const int64_t middle = n / 3, start[] = {0, middle, middle, n};
  const T* const pieces[] = {x.data(), x.data() + middle, x.data() + middle};
  for (const NormKind kind : {NormKind::kAbsolute, NormKind::kSquares, NormKind::kLargest}) {
    Expected want;
    for (int t = 0; t < 3; ++t) {
      Wide sum = 0;
      for (int64_t i = start[t]; i < start[t + 1]; ++i) {
        const Wide size = std::fabs(x[i]);
        sum = kind == NormKind::kLargest   ? std::max(sum, size)
              : kind == NormKind::kSquares ? sum + size * size
                                           : sum + size;
      }
      want.push(kind == NormKind::kSquares ? std::sqrt(sum) : sum);
    }
    check<T>("tensor_norms", want, sizeof(T) == 8 ? chain(n / 4 + 4) : 1,
             [&](const KernelTable<T>& k, T* y) {
               double norm[3];
               std::vector<double> partial(static_cast<size_t>(partial_sums(3, n)));
               k.tensor_norms(3, start, pieces, kind, partial.data(), norm);
               for (int t = 0; t < 3; ++t) y[t] = static_cast<T>(norm[t]);
             });
  }
  Expected want;
  for (int64_t i = 0; i < n; ++i)
    want.push(std::clamp<Wide>(static_cast<Wide>(x[i]) * 0.75L, -0.5L, 0.5L));
  check<T>("clip_tensors", want, 0.5, [&](const KernelTable<T>& k, T* y) {
    std::copy(x.begin(), x.end(), y);
    T* const to[] = {y, y + middle, y + middle};
    k.clip_tensors(3, start, to, T(0.75), T(0.5));
  });
}

template <class T>
void all() {
  for (const int64_t n : {1, 4, 50, 1000, 40009}) {
    sgd<T>(n, false, false, false);
    for (const bool nesterov : {false, true})
      for (const bool first : {false, true}) sgd<T>(n, true, nesterov, first);
    for (const bool amsgrad : {false, true})
      for (const bool decoupled : {false, true}) adam<T>(n, amsgrad, decoupled);
    for (const RuleCase& c : kRuleCases) adaptive<T>(n, c);
    lion<T>(n);
    lamb<T>(n);
    norms_and_clipping<T>(n);
  }
}

}  // namespace

void check_optim() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
