#pragma once

#include "kernels/signature.h"

namespace dlcore {

SIGNATURE(pixel_shuffle,
          (const T* x, T* y, int64_t planes, int64_t factor, int64_t height, int64_t width));
SIGNATURE(pixel_unshuffle,
          (const T* x, T* y, int64_t planes, int64_t factor, int64_t height, int64_t width));
SIGNATURE(channel_shuffle,
          (const T* x, T* y, int64_t batch, int64_t groups, int64_t channels, int64_t size));

}  // namespace dlcore
