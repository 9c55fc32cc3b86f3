// Optimizer steps over all tensors of a network in one call, in place. The tensors count as one
// long row of elements, cut into chunks of one size, so that hundreds of small tensors cost as
// little as one large one. Bound by memory: SGD 12 bytes a float (20 with momentum), Adam 28.

#include "cpu/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// step(at, lanes) on whole vectors with lanes = kLanes, then once on the rest.
template <class T>
DLCORE_INLINE Vec<T> load_lanes(const T* p, int64_t lanes) {
  return lanes == kLanes<T> ? load<T>(p) : load_part<T>(p, lanes, T(0));
}
template <class T>
DLCORE_INLINE void store_lanes(T* p, int64_t lanes, Vec<T> v) {
  if (lanes == kLanes<T>)
    store<T>(p, v);
  else
    store_part<T>(p, lanes, v);
}
template <class T, class Step>
DLCORE_INLINE void for_vectors(int64_t begin, int64_t end, const Step& step) {
  int64_t i = begin;
  for (; i + 2 * kLanes<T> <= end; i += 2 * kLanes<T>) {
    step(i, kLanes<T>);
    step(i + kLanes<T>, kLanes<T>);
  }
  for (; i + kLanes<T> <= end; i += kLanes<T>) step(i, kLanes<T>);
  if (i < end) step(i, end - i);
}

template <class T, bool kMomentum>
DLCORE_INLINE void sgd_piece(const Sgd<T>& s, int64_t tensor, int64_t begin, int64_t end) {
  T* const param = s.param[tensor];
  const T* const grad = s.grad[tensor];
  T* const buffer = kMomentum ? s.buffer[tensor] : nullptr;
  const T sign = s.maximize ? T(-1) : T(1), keep = T(1) - s.dampening;
  for_vectors<T>(begin, end, [=, &s](int64_t i, int64_t lanes) {
    const Vec<T> p = load_lanes(param + i, lanes);
    Vec<T> g = load_lanes(grad + i, lanes) * sign;
    if (s.weight_decay != 0) g += s.weight_decay * p;
    if constexpr (kMomentum) {
      const Vec<T> b = s.first ? g : s.momentum * load_lanes(buffer + i, lanes) + keep * g;
      store_lanes(buffer + i, lanes, b);
      g = s.nesterov ? g + s.momentum * b : b;
    }
    store_lanes(param + i, lanes, p - s.lr * g);
  });
}

// See PyTorch's SGD: g = grad + weight_decay p;  b = momentum b + (1 - dampening) g, b = g at the
// first step;  p -= lr b, or lr (g + momentum b) with Nesterov's.
template <class T>
void sgd_step(const Sgd<T>& step) {
  for_each_piece(step.count, step.start, [=, &step](int64_t tensor, int64_t begin, int64_t end) {
    if (step.buffer)
      sgd_piece<T, true>(step, tensor, begin, end);
    else
      sgd_piece<T, false>(step, tensor, begin, end);
  });
}

template <class T, bool kAmsgrad>
DLCORE_INLINE void adam_piece(const Adam<T>& s, int64_t tensor, int64_t begin, int64_t end) {
  T* const param = s.param[tensor];
  const T* const grad = s.grad[tensor];
  T* const mean = s.mean[tensor];
  T* const square = s.square[tensor];
  T* const top = kAmsgrad ? s.max_square[tensor] : nullptr;
  const T sign = s.maximize ? T(-1) : T(1);
  const T step_size = s.step_size[tensor], scale = s.root_scale[tensor];
  for_vectors<T>(begin, end, [=, &s](int64_t i, int64_t lanes) {
    Vec<T> p = load_lanes(param + i, lanes);
    Vec<T> g = load_lanes(grad + i, lanes) * sign;
    if (s.decoupled)
      p *= s.shrink;
    else if (s.weight_decay != 0)
      g += s.weight_decay * p;
    Vec<T> m = load_lanes(mean + i, lanes), v = load_lanes(square + i, lanes);
    m += (g - m) * s.one_minus_beta1;
    v = s.beta2 * v + s.one_minus_beta2 * g * g;
    store_lanes(mean + i, lanes, m);
    store_lanes(square + i, lanes, v);
    if constexpr (kAmsgrad) {
      v = max<T>(load_lanes(top + i, lanes), v);
      store_lanes(top + i, lanes, v);
    }
    store_lanes(param + i, lanes, p - step_size * m / (sqrt<T>(v) * scale + s.eps));
  });
}

// m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p -= step_size m / (root_scale sqrt(v)
// + eps) with the bias corrections step_size = lr / (1 - beta1^t), root_scale = 1 / sqrt(1 -
// beta2^t).  amsgrad takes the largest v so far. AdamW (decoupled) shrinks p first instead of
// adding weight_decay p to g.
template <class T>
void adam_step(const Adam<T>& step) {
  for_each_piece(step.count, step.start, [=, &step](int64_t tensor, int64_t begin, int64_t end) {
    if (step.max_square)
      adam_piece<T, true>(step, tensor, begin, end);
    else
      adam_piece<T, false>(step, tensor, begin, end);
  });
}

}  // namespace

DLCORE_EXPORT(sgd_step)
DLCORE_EXPORT(adam_step)

}  // namespace DLCORE_ISA
}  // namespace dlcore
