#pragma once

#include "kernels/signature.h"

namespace dlcore {

// gru applies its reset gate to the recurrent product, gru_reset_first to what goes into it.
enum class RnnCell : int { tanh, relu, lstm, gru, gru_reset_first };

// What a row of `gates` holds, in columns of `hidden` each, and a row of their gradients:
//   tanh, relu       sum                    d(sum)
//   lstm             i, f, g, o             the same, of what went into the activations
//   gru              W_hn h, r, z, n        d(W_hn h), d(r), d(z), d(n)
//   gru_reset_first  r, z, n                d(r), d(z), d(n)
DLCORE_SHARED int64_t rnn_columns(RnnCell cell) {
  return cell == RnnCell::lstm || cell == RnnCell::gru ? 4
         : cell == RnnCell::gru_reset_first            ? 3
                                                       : 1;
}
// How many gates the weights have.
DLCORE_SHARED int64_t rnn_gates(RnnCell cell) {
  return cell == RnnCell::lstm                                      ? 4
         : cell == RnnCell::gru || cell == RnnCell::gru_reset_first ? 3
                                                                    : 1;
}

// Weights of one direction of a layer, or their gradients. Gates in PyTorch's order, one below the
// other; peephole has those of i, f and o. Null: not there, or gradient not wanted.
template <class T>
struct RnnWeights {
  T* ih;        // (gates * hidden, inputs)
  T* hh;        // (gates * hidden, outputs)
  T* ih_bias;   // (gates * hidden)
  T* hh_bias;   // the same
  T* hr;        // (outputs, hidden): of an lstm with a projection
  T* peephole;  // (3 * hidden)
};

// One layer over whole sequences. Rows of x, y and all that is kept: all sequences of step 0, then
// those that have a step 1, and so on: sequences are ordered by falling length. The second
// direction reads from each sequence's end.
template <class T>
struct Rnn {
  RnnCell cell;
  T update;  // of gru: 1 when z keeps the old state, -1 when it takes the new one
  int64_t steps, batch, inputs, hidden, outputs, directions;
  const int64_t* first;  // row of each step's first sequence, and the number of rows: steps + 1
  RnnWeights<const T> weights[2];
  const T* x;   // (rows, inputs)
  const T* h0;  // (directions, batch, outputs); null: zeros
  const T* c0;  // (directions, batch, hidden); null: zeros
  bool bf16;    // as in Gemm, for products over all steps

  int64_t rows() const { return first[steps]; }
  int64_t count(int64_t step) const { return first[step + 1] - first[step]; }
};

// y is (rows, directions * outputs), h_n and c_n are as h0 and c0. What backward needs: gates
// (directions, rows, columns * hidden), cells (directions, rows, hidden). Null where it is not
// wanted; tanh and relu need neither.
SIGNATURE(rnn_forward, (const Rnn<T>& r, T* y, T* h_n, T* c_n, T* gates, T* cells));

// Gradients, null where not wanted or, of results, zero; dh0 and dc0 (of lstm) are not optional.
template <class T>
struct RnnGradients {
  const T *dy, *dh_n, *dc_n;
  T *dx, *dh0, *dc0;
  RnnWeights<T> weights[2];
};
SIGNATURE(rnn_backward,
          (const Rnn<T>& r, const T* y, const T* gates, const T* cells, const RnnGradients<T>& g));

// y[i] = x[index[i]] for rows of n elements; of `fill` where the index is negative.
SIGNATURE(place_rows, (const T* x, const int64_t* index, T* y, int64_t rows, int64_t n, T fill));

}  // namespace dlcore
