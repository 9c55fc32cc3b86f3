#pragma once

#include "kernels/signature.h"

namespace dlcore {

// `classes` may be null; `keep` has room for n, `count` is how many were kept.
SIGNATURE(nms, (const T* boxes, const T* scores, const int64_t* classes, int64_t* keep,
                int64_t* count, int64_t n, T threshold));
SIGNATURE(soft_nms, (const T* boxes, const T* scores, int64_t* keep, T* kept_scores, int64_t* count,
                     int64_t n, T iou_threshold, T sigma, T least, bool gaussian));

}  // namespace dlcore
