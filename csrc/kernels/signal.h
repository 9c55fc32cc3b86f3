#pragma once

#include "kernels/signature.h"

namespace dlcore {

// A signal of `length` in `frames` frames of `size` elements, each `hop` behind the one before.
struct FrameShape {
  int64_t batch, length, frames, size, hop;
};

// Frames are (batch, frames, size), signals (batch, length), the window (size).
SIGNATURE(frame, (const T* x, const T* window, T* y, const FrameShape& shape));
// Null frames are all ones.
SIGNATURE(overlap_add, (const T* frames, const T* window, T* y, const FrameShape& shape));
// x and dx are n pairs, y and dy n numbers. root: the size, not its square.
SIGNATURE(pair_power_forward, (const T* x, T* y, int64_t n, bool root));
SIGNATURE(pair_power_backward, (const T* x, const T* y, const T* dy, T* dx, int64_t n, bool root));

}  // namespace dlcore
