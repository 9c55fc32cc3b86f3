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

enum class Rule {
  kAdagrad,
  kAdadelta,
  kRmsprop,
  kAdamax,
  kNadam,
  kRadam,
  kLion,
  kLamb,
  kAverage,
};
constexpr int kMostStates = 3;
constexpr int kScalars = 3;

// A step by one of the rules of cpu/optim_rules.cpp, which say what a state is and which numbers a
// tensor has of its own.
template <class T>
struct Adaptive {
  Rule rule;
  int64_t count;
  const int64_t* start;
  T* const* param;
  const T* const* grad;
  T* const* state[kMostStates];  // null where there is none
  const T* scalar;               // kScalars for each tensor
  T beta1, one_minus_beta1, beta2, one_minus_beta2, eps, momentum, weight_decay;
  T shrink;  // 1 - lr weight_decay
  bool decoupled, maximize;
  double* partial;  // LAMB: twice partial_sums(count, start[count])
};

enum class NormKind { kAbsolute, kSquares, kLargest };

// Pieces of tensors are cut at every so many elements of all of them: some 10 us of work in cache,
// 30 us from memory. Room for a number of each piece.
constexpr int64_t kOptimChunk = int64_t(1) << 15;
DLCORE_SHARED int64_t partial_sums(int64_t count, int64_t elements) {
  return count + elements / kOptimChunk + 1;
}

SIGNATURE(sgd_step, (const Sgd<T>& step));
SIGNATURE(adam_step, (const Adam<T>& step));
SIGNATURE(adaptive_step, (const Adaptive<T>& step));
SIGNATURE(tensor_norms, (int64_t count, const int64_t* start, const T* const* tensor, NormKind kind,
                         double* partial, double* norm));
SIGNATURE(clip_tensors, (int64_t count, const int64_t* start, T* const* tensor, T factor, T limit));

}  // namespace dlcore
