// The optimizers beside SGD and Adam: one kernel, in which the rule is chosen anew for every
// element, by a branch that all threads take alike. Bound by memory. What a rule's states and
// numbers are stands in csrc/cpu/optim_rules.cpp: s0, s1, s2 and a0, a1, a2.

#include "cuda/math.h"
#include "cuda/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Numbers {
  T a[kScalars];
};

template <class T>
struct RuleUpdate {
  Rule rule;
  const T* scalar;
  T beta1, one_minus_beta1, beta2, one_minus_beta2, eps, momentum;
  bool has_state1, has_state2;

  __device__ Numbers<T> of(int64_t t) const {
    return {{scalar[kScalars * t], scalar[kScalars * t + 1], scalar[kScalars * t + 2]}};
  }
  __device__ T mean(T& s, T g) const { return s += (g - s) * one_minus_beta1; }
  __device__ T square(T& s, T g) const { return s = beta2 * s + one_minus_beta2 * (g * g); }

  __device__ T operator()(const Numbers<T>& own, T p, T g, T& s0, T& s1, T& s2) const {
    return p - change(own, p, g, s0, s1, s2);
  }
  __device__ T change(const Numbers<T>& own, T p, T g, T& s0, T& s1, T& s2) const {
    const T a0 = own.a[0], a1 = own.a[1], a2 = own.a[2];
    switch (rule) {
      case Rule::kAdagrad:
        return a0 * g / (math::sqrt(s0 += g * g) + eps);
      case Rule::kAdadelta: {
        const T std = math::sqrt(square(s0, g) + eps), delta = math::sqrt(s1 + eps) / std * g;
        square(s1, delta);
        return a0 * delta;
      }
      case Rule::kRmsprop: {
        T variance = square(s0, g);
        if (has_state1) {
          s1 += (g - s1) * one_minus_beta2;
          variance -= s1 * s1;
          if (variance < T(0)) variance = T(0);
        }
        T d = g / (math::sqrt(variance) + eps);
        if (has_state2) d = s2 = momentum * s2 + d;
        return a0 * d;
      }
      case Rule::kAdamax: {
        const T m = mean(s0, g);
        return a0 * m / (s1 = math::max(beta2 * s1, math::abs(g) + eps));
      }
      case Rule::kNadam: {
        const T m = mean(s0, g), v = square(s1, g);
        return (a0 * g + a1 * m) / (a2 * math::sqrt(v) + eps);
      }
      case Rule::kRadam: {
        const T m = a0 * mean(s0, g), v = square(s1, g);
        return a1 == T(0) ? m : m / (math::sqrt(v) + eps);
      }
      case Rule::kLion: {
        const T way = beta1 * s0 + one_minus_beta1 * g;
        s0 = beta2 * s0 + one_minus_beta2 * g;
        return a0 * math::sign(way);
      }
      default:  // average: p moves towards g
        return a0 * (p - g);
    }
  }
};

// LAMB's first pass: s0, s1 = means of g and g^2, and the sums of p^2 and u^2 over a chunk with
//   u = a1 s0 / (a2 sqrt(s1) + eps) + weight_decay p
// Its second: p -= a0 |p| / |u| u. u is computed anew: cheaper than to store it.
template <class T>
struct Lamb {
  T* const* param;
  const T* const* grad;
  T *const *s0, *const *s1;
  RuleUpdate<T> update;
  T weight_decay;
  bool maximize;
  double *p_squares, *u_squares;  // of each chunk; second pass: of each tensor

  __device__ T direction(const Numbers<T>& own, T p, T m, T v) const {
    return own.a[1] * m / (own.a[2] * math::sqrt(v) + update.eps) + weight_decay * p;
  }
};
template <class T>
struct LambMoments : Lamb<T> {
  template <int kWidth>
  __device__ void piece(int64_t t, int64_t begin, int64_t end, int64_t chunk) const {
    const Numbers<T> own = this->update.of(t);
    double p_sum = 0, u_sum = 0;
    for_packs<kWidth>(begin, end, [&]<int kPack>(int64_t i) {
      const Pack<T, kPack> p = load<kPack>(this->param[t] + i), g = load<kPack>(this->grad[t] + i);
      Pack<T, kPack> m = load<kPack>(this->s0[t] + i), v = load<kPack>(this->s1[t] + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) {
        const T slope = this->maximize ? -g.v[j] : g.v[j];
        this->update.mean(m.v[j], slope);
        this->update.square(v.v[j], slope);
        const double d = static_cast<double>(p.v[j]);
        const double u = static_cast<double>(this->direction(own, p.v[j], m.v[j], v.v[j]));
        p_sum += d * d;
        u_sum += u * u;
      }
      store(this->s0[t] + i, m);
      store(this->s1[t] + i, v);
    });
    p_sum = block_fold<kBlock>(p_sum, Plus());
    u_sum = block_fold<kBlock>(u_sum, Plus());
    if (threadIdx.x != 0) return;
    this->p_squares[chunk] = p_sum;
    this->u_squares[chunk] = u_sum;
  }
};
template <class T>
struct LambMove : Lamb<T> {
  template <int kWidth>
  __device__ void piece(int64_t t, int64_t begin, int64_t end, int64_t) const {
    const Numbers<T> own = this->update.of(t);
    const double ps = this->p_squares[t], us = this->u_squares[t];
    const T size = own.a[0] * static_cast<T>(ps == 0 || us == 0 ? 1 : ::sqrt(ps / us));
    for_packs<kWidth>(begin, end, [&]<int kPack>(int64_t i) {
      Pack<T, kPack> p = load<kPack>(this->param[t] + i);
      const Pack<T, kPack> m = load<kPack>(this->s0[t] + i), v = load<kPack>(this->s1[t] + i);
#pragma unroll
      for (int j = 0; j < kPack; ++j) p.v[j] -= size * this->direction(own, p.v[j], m.v[j], v.v[j]);
      store(this->param[t] + i, p);
    });
  }
};
struct Itself {
  __device__ double operator()(double v) const { return v; }
};

template <class T>
void lamb_step(const Network<T>& network, Lamb<T> lamb) {
  const int64_t chunks = larger(1, network.chunks()), tensors = network.count();
  const Scratch<double> of_chunk(2 * chunks), of_tensor(2 * tensors);
  lamb.p_squares = of_chunk;
  lamb.u_squares = of_chunk + chunks;
  for_chunks(network, LambMoments<T>{lamb});
  join_of_chunks(network, lamb.p_squares, of_tensor, Plus(), Itself());
  join_of_chunks(network, lamb.u_squares, of_tensor + tensors, Plus(), Itself());
  lamb.p_squares = of_tensor;
  lamb.u_squares = of_tensor + tensors;
  for_chunks(network, LambMove<T>{lamb});
}

template <class T>
void adaptive_step(const Adaptive<T>& s) {
  if (s.count == 0) return;
  Network<T> network(s.count, s.start);
  const size_t param = network.add(s.param), grad = network.add(s.grad),
               scalar = network.add_numbers(s.scalar, kScalars);
  size_t place[kMostStates];
  for (int i = 0; i < kMostStates; ++i) place[i] = network.add(s.state[i]);
  network.send();
  const auto state = [&](size_t at) { return network.template at<T* const*>(at); };
  const T* const* const grads = network.template at<const T* const*>(grad);
  const RuleUpdate<T> update{s.rule,
                             network.template at<const T*>(scalar),
                             s.beta1,
                             s.one_minus_beta1,
                             s.beta2,
                             s.one_minus_beta2,
                             s.eps,
                             s.momentum,
                             s.state[1] != nullptr,
                             s.state[2] != nullptr};
  if (s.rule == Rule::kLamb)
    return lamb_step(network, Lamb<T>{state(param), grads, state(place[0]), state(place[1]), update,
                                      s.weight_decay, s.maximize, nullptr, nullptr});
  const Rows<T> rows{state(param), grads,      {state(place[0]), state(place[1]), state(place[2])},
                     s.decoupled,  s.maximize, s.weight_decay,
                     s.shrink};
  for_chunks(network, Step<T, RuleUpdate<T>>{rows, update});
}

}  // namespace

DLCORE_CUDA_EXPORT(adaptive_step)

}  // namespace DLCORE_ISA
}  // namespace dlcore
