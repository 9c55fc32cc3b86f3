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

template <class T>
void all() {
  for (const int64_t n : {1, 4, 50, 1000, 40009}) {
    sgd<T>(n, false, false, false);
    for (const bool nesterov : {false, true})
      for (const bool first : {false, true}) sgd<T>(n, true, nesterov, first);
    for (const bool amsgrad : {false, true})
      for (const bool decoupled : {false, true}) adam<T>(n, amsgrad, decoupled);
  }
}

}  // namespace

void check_optim() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
