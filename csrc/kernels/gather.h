#pragma once

#include "kernels/signature.h"

namespace dlcore {

// Sums of rows: y (outer, rows, inner) of x (outer, sources, inner).
template <class T>
struct RowSums {
  int64_t outer, rows, sources, inner;
  const int64_t* index;  // (count) rows of y, count < 2^31
  const int64_t* from;   // (count) rows of x; null: each its own place
  const T* scale;        // (count); null for 1
  int64_t count;
  int64_t padding;  // a row of y that nothing is added to; -1 for none
  bool mean;        // the sum of a row divided by its number of terms
  T alpha;          // of all sums
};

// One pick along an axis: x is (outer, n, inner), index (outer, m, inner) with numbers below n; a
// negative one is passed over.
struct Picks {
  int64_t outer, n, m, inner;
  const int64_t* index;
};

// y (outer, count, inner): y[o, i] = x[o, index[i]].
SIGNATURE(take_rows, (const T* x, const int64_t* index, T* y, int64_t outer, int64_t rows,
                      int64_t count, int64_t inner));
// y[o, r] = base[o, r] + the sum of scale[i] x[o, from[i]] over all i of index[i] = r. base may be
// null, for 0, or y.
SIGNATURE(add_rows, (const T* x, const T* base, T* y, const RowSums<T>& s));
SIGNATURE(gather, (const T* x, T* y, const Picks& s));
// Into a copy of x, or of zeros where x is null. source is (outer, m, inner), or one value when its
// step is 0.
SIGNATURE(scatter, (const T* x, const T* source, int64_t step, T* y, bool add, const Picks& s));

}  // namespace dlcore
