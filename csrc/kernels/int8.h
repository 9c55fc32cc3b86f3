#pragma once

#include "kernels/signature.h"

namespace dlcore {

// A matrix (n, k) of 8 bits: element (j, p) stands for scale[j] * q. Rows lie in panels of 32,
// whose words are 4 neighbours along k: q(j, p) is panels[((j / 32 * words + p / 4) * 32 + j % 32)
// * 4 + p % 4], with zeros past n and k, words = ceil(k / 4). `sum` is that of each row's q.
constexpr int64_t kInt8Rows = 32, kInt8Word = 4;
constexpr int64_t kInt8Most = 1 << 16;  // k: a sum of so many products fits into 32 bits

struct Int8Weight {
  int64_t n, k;
  const int8_t* panels;
  const float* scale;
  const int32_t* sum;
};

// y (m, n) = x (m, k) weight^T + bias, each row of x rounded to 256 levels between its extremes and
// 0. A row with NaN or infinity gives NaN. bias may be null.
SIGNATURE(linear_int8, (const T* x, const Int8Weight& weight, const T* bias, T* y, int64_t m));

// One direction of an LSTM over whole sequences, rows as in kernels/rnn.h. `gates` (rows, 4 hidden)
// has x W_ih^T + biases; `weight` has four matrices (hidden, hidden), one after another. h and c
// (batch, hidden) are the states before, and after.
template <class T>
struct LstmInt8 {
  int64_t steps, batch;
  const int64_t* first;  // row of each step's first sequence, and the number of rows: steps + 1
  bool reverse;          // from each sequence's end
  const T* gates;
  Int8Weight weight;
  T *h, *c, *y;
};
SIGNATURE(lstm_int8, (const LstmInt8<T>& l));

}  // namespace dlcore
