// What max and average pooling share.
//
// A window is reduced along the rows of x first, then down the columns. Each row of x is split into
// its stride phases with the padding written around it (rows.h), so that one tap of 16 neighbouring
// outputs is one vector load, and a row's result serves every window that covers it.
#pragma once

#include "cpu/rows.h"
#include "cpu/scratch.h"
#include "cpu/simd.h"
#include "kernels.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kScratch = 64 << 10;  // bytes of row results kept at once: they stay in L2

// A work item is `rows` output rows of one plane; their windows start at input row `top`.
template <class T>
struct Geometry {
  int64_t width;       // row of results: out_w up to whole vectors
  int64_t phase_size;  // of a split row
  int64_t rows, blocks;
  int64_t input_rows;  // at most, under `rows` output rows

  explicit Geometry(const Pool2d& p) {
    width = round_up(p.out_w, kLanes<T>);
    phase_size = width + round_up((p.kernel_w - 1) * p.dilation_w / p.stride_w + 1, kLanes<T>);
    const int64_t span = (p.kernel_h - 1) * p.dilation_h + 1;
    const int64_t fit = kScratch / (width * static_cast<int64_t>(sizeof(T)));
    rows = larger(1, smaller(p.out_h, (fit - span) / p.stride_h + 1));
    blocks = ceil_div(p.out_h, rows);
    input_rows = (rows - 1) * p.stride_h + span;
  }
  int64_t split_size(const Pool2d& p) const { return phase_size * p.stride_w; }
};

// offsets[s] is where tap s of output 0 lies in a split row; output j is j further.
template <class T>
DLCORE_INLINE void tap_offsets(const Pool2d& p, const Geometry<T>& g, int64_t* offsets) {
  for (int64_t s = 0; s < p.kernel_w; ++s)
    offsets[s] = s * p.dilation_w % p.stride_w * g.phase_size + s * p.dilation_w / p.stride_w;
}

// row_pass(split, i) makes row i of the results from one split row of x; column_pass(plane, oh, i)
// makes output row oh from the results whose row 0 is input row oh * stride - pad_top - i.
template <class T, class RowPass, class ColumnPass>
DLCORE_INLINE void pool_block(const T* x, const Pool2d& p, const Geometry<T>& g, int64_t item,
                              T* split, const RowPass& row_pass, const ColumnPass& column_pass) {
  const int64_t plane = item / g.blocks, begin = item % g.blocks * g.rows;
  const int64_t end = smaller(begin + g.rows, p.out_h);
  const int64_t top = begin * p.stride_h - p.pad_top;
  const int64_t bottom = (end - 1) * p.stride_h - p.pad_top + (p.kernel_h - 1) * p.dilation_h;
  const int64_t columns = smaller(p.width, g.split_size(p) - p.pad_left);
  for (int64_t ih = larger(top, 0); ih <= smaller(bottom, p.height - 1); ++ih) {
    if (p.dilation_h == 1 && (ih + p.pad_top) % p.stride_h >= p.kernel_h) continue;
    split_row<T>(x + (plane * p.height + ih) * p.width, columns, p.pad_left, p.stride_w, split,
                 g.phase_size);
    row_pass(split, ih - top);
  }
  for (int64_t oh = begin; oh < end; ++oh) column_pass(plane, oh, (oh - begin) * p.stride_h);
}

// The taps of a window from `start` that lie inside: from first_tap up to end_tap.
DLCORE_INLINE int64_t first_tap(int64_t start, int64_t dilation) {
  return start < 0 ? ceil_div(-start, dilation) : 0;
}
DLCORE_INLINE int64_t end_tap(int64_t start, int64_t size, int64_t kernel, int64_t dilation) {
  return smaller(kernel, ceil_div(larger(size - start, 0), dilation));
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
