#pragma once

#include "kernels/signature.h"

namespace dlcore {

enum class PadMode : int { constant, reflect, replicate, circular };

// y is x with elements added (or, where negative, taken away) at the ends of its axes.
constexpr int kMaxPadDims = 64;
struct Pad {
  PadMode mode;
  int ndim;  // at least 1
  int64_t size[kMaxPadDims], out[kMaxPadDims];
  int64_t before[kMaxPadDims];  // what is added behind follows from size and out
};

SIGNATURE(pad_forward, (const T* x, T* y, const Pad& p, T value));
SIGNATURE(pad_backward, (const T* dy, T* dx, const Pad& p));

}  // namespace dlcore
