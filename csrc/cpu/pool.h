// What the poolings share: which elements a window holds, and the order of the work.
//
// A window is reduced down the columns first: the rows of x under one row of y, over height and
// depth, become one line, which is reduced along the row. Of 3 x 3 taps 3 + 3 are left, of
// 3 x 3 x 3 9 + 3. Down the columns neighbours in a row lie in the lanes. Along it there are three
// ways: the same, for wide rows of windows that follow one another closely; rows in
// the lanes, for other windows, and planes in the lanes, for small planes: there a vector is full
// however short a row is, and a window begins where it likes. All are in pool_way.cpp.
//
// Vectors may end beyond a row. A load does where the array goes on; a store where the chunk does,
// which writes the following row later.
#pragma once

#include "cpu/norm.h"
#include "cpu/rows.h"
#include "cpu/scratch.h"
#include "cpu/simd_math.h"
#include "kernels/pool.h"

namespace dlcore {
namespace DLCORE_ISA {

// The elements that an output is made of, along one axis: begin, begin + step, ..., inside of x,
// and the tap of the first.
struct PoolSpan {
  int64_t begin, step, count, tap;
};

namespace {

constexpr int64_t kBlockBytes = 16 << 10;  // lines reduced along the row together: half of L1

DLCORE_INLINE bool adaptive(const PoolAxis& a) {
  return a.stride == 0;
}
DLCORE_INLINE int64_t in_size(const Pool& p) {
  return p.d.size * p.h.size * p.w.size;
}
DLCORE_INLINE int64_t out_size(const Pool& p) {
  return p.d.out * p.h.out * p.w.out;
}
DLCORE_INLINE int64_t taps_of(const Pool& p) {
  return p.d.kernel * p.h.kernel * p.w.kernel;
}

// Where output o's window begins: before the input, if the padding does.
DLCORE_INLINE int64_t window_begin(const PoolAxis& a, int64_t o) {
  return adaptive(a) ? o * a.size / a.out : o * a.stride - a.low;
}

DLCORE_INLINE PoolSpan span_of(const PoolAxis& a, int64_t o) {
  const int64_t start = window_begin(a, o);
  if (adaptive(a)) return {start, 1, ceil_div((o + 1) * a.size, a.out) - start, 0};
  int64_t tap = larger(-start, 0), end = larger(a.size - start, 0);
  if (a.dilation > 1) {  // a division costs as much as a row of 16
    tap = ceil_div(tap, a.dilation);
    end = ceil_div(end, a.dilation);
  }
  return {start + tap * a.dilation, a.dilation, smaller(end, a.kernel) - tap, tap};
}

// Rows of y one after the other, through heights, depths and planes.
struct OutputRow {
  int64_t plane, d, h;

  OutputRow(const Pool& p, int64_t row)
      : plane(row / p.h.out / p.d.out), d(row / p.h.out % p.d.out), h(row % p.h.out) {}
  DLCORE_INLINE_MEMBER void next(const Pool& p) {
    if (++h < p.h.out) return;
    h = 0;
    if (++d < p.d.out) return;
    d = 0;
    ++plane;
  }
};

template <class T>
DLCORE_INLINE bool any_lane(Mask<T> mask) {
  uint64_t words[kVectorBytes / 8], any = 0;
  std::memcpy(words, &mask, sizeof words);
  for (const uint64_t word : words) any |= word;
  return any != 0;
}

// Calls f.template operator()<n>() for the counts that nearly all windows have, 2 and 3, and with 0
// for the others: a loop of a known length costs half the instructions.
template <class F>
DLCORE_INLINE void with_count(int64_t count, const F& f) {
  if (count == 2) return f.template operator()<2>();
  if (count == 3) return f.template operator()<3>();
  f.template operator()<0>();
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
