#pragma once

#include "kernels/signature.h"

namespace dlcore {

// How much two boxes overlap: intersection over union, and that less a penalty for the enclosing
// box (generalized), for the distance of the centres, for that and the difference in shape.
enum class Overlap : int { iou, giou, diou, ciou };

// Boxes are (n, 4) of corners x1, y1, x2, y2. box_convert maps both (x1, x2) and (y1, y2) by the
// matrix ((a, b), (c, d)). Gradients are those of the first box.
SIGNATURE(box_convert, (const T* x, T* y, int64_t n, T a, T b, T c, T d));
SIGNATURE(box_area, (const T* x, T* y, int64_t n));
SIGNATURE(box_area_backward, (const T* x, const T* dy, T* dx, int64_t n));
SIGNATURE(clip_boxes, (const T* x, T* y, int64_t n, T height, T width));
SIGNATURE(clip_boxes_backward, (const T* x, const T* dy, T* dx, int64_t n, T height, T width));
SIGNATURE(large_boxes, (const T* x, int64_t* keep, int64_t* count, int64_t n, T min_size));
SIGNATURE(box_iou, (const T* a, const T* b, T* y, int64_t n, int64_t m, Overlap measure, T eps));
SIGNATURE(box_iou_backward, (const T* a, const T* b, const T* dy, T* da, int64_t n, int64_t m,
                             Overlap measure, T eps));
SIGNATURE(box_loss, (const T* a, const T* b, T* y, int64_t n, Overlap measure, T eps));
SIGNATURE(box_loss_backward, (const T* a, const T* b, const T* dy, int64_t dy_step, T scale, T* da,
                              int64_t n, Overlap measure, T eps));

}  // namespace dlcore
