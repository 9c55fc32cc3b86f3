#pragma once

#include "kernels/signature.h"

namespace dlcore {

// A matrix of rows for each head of each of a batch, the last axis contiguous. A step is 0 where
// one is repeated.
template <class T>
struct Heads {
  T* data;
  int64_t batch, head, row;  // steps
};

// y = dropout(softmax(scale q k^T + mask)) v for each of batch x heads; heads / kv_heads of them
// share keys and values.
template <class T>
struct Attention {
  int64_t batch, heads, kv_heads, queries, keys, depth, value_depth;
  Heads<const T> q, k, v;
  const T* bias;                                      // what is added to the scores, or null
  const bool* keep;                                   // which scores count, or null
  int64_t mask_batch, mask_head, mask_row, mask_col;  // steps of either
  bool causal;                                        // key j counts for query i when j <= i
  T scale;
  uint32_t drop_below;  // 0: no dropout
  T drop_scale;
  uint64_t seed, offset;
  Heads<T> y;
  T* lse;  // (batch, heads, queries): log sum exp of a row of scores; inf for a row without any
};

// All gradients from the results that forward left in y and lse.
template <class T>
struct AttentionGradient : Attention<T> {
  Heads<const T> dy;
  Heads<T> dq, dk, dv;
  T* dbias;  // (batch, heads, queries, keys), zeros before; or null
};

// Counters of Philox that dropout takes.
DLCORE_SHARED int64_t attention_groups(int64_t queries, int64_t keys) {
  return (queries + 15) / 16 * ((keys + 3) / 4);
}

SIGNATURE(attention_forward, (const Attention<T>& a));
SIGNATURE(attention_backward, (const AttentionGradient<T>& a));

// s[b][i][j] = sum over h of w[h] tanh(q[b][i][h] + k[b][j][h]).
struct AdditiveSizes {
  int64_t batch, queries, keys, depth;
};
SIGNATURE(additive_scores_forward,
          (const T* q, const T* k, const T* w, T* s, const AdditiveSizes& p));
SIGNATURE(additive_scores_backward, (const T* q, const T* k, const T* w, const T* ds, T* dq, T* dk,
                                     T* dw, const AdditiveSizes& p));
// Pairs of x (outer, rows, 2 half) turned by the angles of tables (rows, half): elements i and i +
// half, or 2 i and 2 i + 1.
SIGNATURE(rotary, (const T* x, const T* cos, const T* sin, T* y, int64_t outer, int64_t rows,
                   int64_t half, bool interleaved, bool back));

}  // namespace dlcore
