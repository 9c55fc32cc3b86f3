// Optimizer steps over all tensors of a network in one launch, in place. Bound by memory: SGD 12
// bytes a float (20 with momentum), Adam 28.

#include "cuda/math.h"
#include "cuda/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct SgdUpdate {
  T lr, momentum, keep;
  bool has_buffer, nesterov, first;

  __device__ int of(int64_t) const { return 0; }
  __device__ T operator()(int, T p, T g, T& buffer, T&, T&) const {
    if (has_buffer) {
      buffer = first ? g : momentum * buffer + keep * g;
      g = nesterov ? g + momentum * buffer : buffer;
    }
    return p - lr * g;
  }
};

// See PyTorch's SGD: g = grad + weight_decay p;  b = momentum b + (1 - dampening) g, b = g at the
// first step;  p -= lr b, or lr (g + momentum b) with Nesterov's.
template <class T>
void sgd_step(const Sgd<T>& s) {
  Network<T> network(s.count, s.start);
  const size_t param = network.add(s.param), grad = network.add(s.grad),
               buffer = network.add(s.buffer);
  network.send();
  const Rows<T> rows{network.template at<T* const*>(param),
                     network.template at<const T* const*>(grad),
                     {network.template at<T* const*>(buffer)},
                     false,
                     s.maximize,
                     s.weight_decay,
                     T(1)};
  const SgdUpdate<T> update{s.lr,       s.momentum, T(1) - s.dampening, s.buffer != nullptr,
                            s.nesterov, s.first};
  for_chunks(network, Step<T, SgdUpdate<T>>{rows, update});
}

template <class T>
struct AdamUpdate {
  const T *step_size, *root_scale;
  T one_minus_beta1, beta2, one_minus_beta2, eps;
  bool amsgrad;

  struct Own {
    T step_size, root_scale;
  };
  __device__ Own of(int64_t t) const { return {step_size[t], root_scale[t]}; }
  __device__ T operator()(const Own& own, T p, T g, T& mean, T& square, T& top) const {
    mean += (g - mean) * one_minus_beta1;
    square = beta2 * square + one_minus_beta2 * g * g;
    T v = square;
    if (amsgrad) v = top = math::max(top, square);
    return p - own.step_size * mean / (math::sqrt(v) * own.root_scale + eps);
  }
};

// m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;  p -= step_size m / (root_scale sqrt(v)
// + eps) with the bias corrections step_size = lr / (1 - beta1^t), root_scale = 1 / sqrt(1 -
// beta2^t).  amsgrad takes the largest v so far. AdamW (decoupled) shrinks p first instead of
// adding weight_decay p to g.
template <class T>
void adam_step(const Adam<T>& s) {
  Network<T> network(s.count, s.start);
  const size_t param = network.add(s.param), grad = network.add(s.grad), mean = network.add(s.mean),
               square = network.add(s.square), top = network.add(s.max_square),
               step_size = network.add_numbers(s.step_size, 1),
               root_scale = network.add_numbers(s.root_scale, 1);
  network.send();
  const auto state = [&](size_t place) { return network.template at<T* const*>(place); };
  const Rows<T> rows{state(param),
                     network.template at<const T* const*>(grad),
                     {state(mean), state(square), state(top)},
                     s.decoupled,
                     s.maximize,
                     s.weight_decay,
                     s.shrink};
  const AdamUpdate<T> update{network.template at<const T*>(step_size),
                             network.template at<const T*>(root_scale),
                             s.one_minus_beta1,
                             s.beta2,
                             s.one_minus_beta2,
                             s.eps,
                             s.max_square != nullptr};
  for_chunks(network, Step<T, AdamUpdate<T>>{rows, update});
}

}  // namespace

DLCORE_CUDA_EXPORT(sgd_step)
DLCORE_CUDA_EXPORT(adam_step)

}  // namespace DLCORE_ISA
}  // namespace dlcore
