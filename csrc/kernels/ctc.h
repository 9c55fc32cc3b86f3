#pragma once

#include "kernels/signature.h"

namespace dlcore {

// Log-probabilities are (steps, batch, classes). Sample b has input_lengths[b] steps and the labels
// targets[starts[b]] on, target_lengths[b] of them, none of which is the blank.
struct CtcProblem {
  int64_t steps, batch, classes, blank;
  const int64_t *targets, *starts, *input_lengths, *target_lengths;
};

// dx, unless null, gets scale[b] times the gradient of loss[b]; of an infinite loss NaN, or 0 when
// zero_infinity.
SIGNATURE(ctc_loss, (const T* log_probs, T* loss, T* dx, const T* scale, bool zero_infinity,
                     const CtcProblem& problem));

// Of a problem without targets.
SIGNATURE(ctc_greedy, (const T* log_probs, int64_t* labels, int64_t* counts, T* scores,
                       const CtcProblem& problem));
SIGNATURE(ctc_beam_search, (const T* log_probs, int64_t* labels, int64_t* counts, T* scores,
                            int64_t width, int64_t nbest, const CtcProblem& problem));

}  // namespace dlcore
