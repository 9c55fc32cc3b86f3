#pragma once

#include "kernels/signature.h"

namespace dlcore {

// One step of an optimizer over `count` tensors of one dtype. Tensor t has start[t + 1] - start[t]
// elements, contiguous. Written in place: param and what the optimizer remembers.
template <class T>
struct Sgd {
  int64_t count;
  const int64_t* start;
  T* const* param;
  const T* const* grad;
  T* const* buffer;  // null without momentum
  T lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
  bool first;  // the buffers hold nothing yet
};

template <class T>
struct Adam {
  int64_t count;
  const int64_t* start;
  T* const* param;
  const T* const* grad;
  T* const* mean;
  T* const* square;
  T* const* max_square;  // null without amsgrad
  const T* step_size;    // for each tensor: lr / (1 - beta1^t)
  const T* root_scale;   // for each tensor: 1 / sqrt(1 - beta2^t)
  T one_minus_beta1, beta2, one_minus_beta2, eps, weight_decay;
  T shrink;  // 1 - lr weight_decay
  bool decoupled, maximize;
};

SIGNATURE(sgd_step, (const Sgd<T>& step));
SIGNATURE(adam_step, (const Adam<T>& step));

}  // namespace dlcore
