#pragma once

#include "kernels/signature.h"

namespace dlcore {

// Boxes stand at ((j + offset) step_x, (i + offset) step_y) of row i and column j.
struct BoxGrid {
  int64_t rows, columns;
  double step_y, step_x, offset;
};

// There are 4 weights, `codes` to a box; decode's dgiven is (n, codes, 4).
SIGNATURE(encode_boxes, (const T* target, const T* given, T* y, int64_t n, const T* weights));
SIGNATURE(encode_boxes_backward, (const T* target, const T* given, const T* dy, T* dtarget,
                                  T* dgiven, int64_t n, const T* weights));
SIGNATURE(decode_boxes, (const T* code, const T* given, T* y, int64_t n, int64_t codes,
                         const T* weights, T clip));
SIGNATURE(decode_boxes_backward, (const T* code, const T* given, const T* dy, T* dcode, T* dgiven,
                                  int64_t n, int64_t codes, const T* weights, T clip));
SIGNATURE(grid_boxes, (const T* boxes, T* y, int64_t n, const BoxGrid& grid));

}  // namespace dlcore
