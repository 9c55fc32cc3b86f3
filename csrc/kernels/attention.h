#pragma once

#include "kernels/signature.h"

namespace dlcore {

// A matrix of rows for each head of each of a batch, the last axis contiguous. A step is 0 where
// one is repeated.
template <class T>
struct Heads {
  T* data;
  int64_t batch, head, row;  // steps

  T* of(int64_t b, int64_t h) const { return data + b * batch + h * head; }
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
inline int64_t attention_groups(int64_t queries, int64_t keys) {
  return (queries + 15) / 16 * ((keys + 3) / 4);
}

SIGNATURE(attention_forward, (const Attention<T>& a));
SIGNATURE(attention_backward, (const AttentionGradient<T>& a));

}  // namespace dlcore
