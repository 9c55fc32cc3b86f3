#pragma once

#include "kernels/signature.h"

namespace dlcore {

enum class BagMode { sum, mean, max };

// Bag b has the rows index[i] of the table (rows, dim), for i from offsets[b] to offsets[b + 1].
template <class T>
struct Bags {
  int64_t bags, dim;
  const int64_t* index;
  const int64_t* offsets;  // (bags + 1)
  const T* scale;          // of each row; null for 1
  int64_t padding;         // a row that is left out; -1 for none
  BagMode mode;
};

// best (bags, dim), for max only: the row that each element is from, -1 for an empty bag.
SIGNATURE(embedding_bag_forward, (const T* weight, T* y, int64_t* best, const Bags<T>& s));
// dscale[i] = the product of row index[i] with dy of its bag.
SIGNATURE(embedding_bag_backward_scale,
          (const T* weight, const T* dy, T* dscale, const Bags<T>& s));

}  // namespace dlcore
