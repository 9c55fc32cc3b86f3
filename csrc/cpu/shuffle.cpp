// Pixel shuffle and its inverse, channel shuffle: each the other's gradient. Copies only.

#include "kernels/shuffle.h"

#include "cpu/rows.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Calls body(picture with more channels, row of the one with more pixels) for each row of
// height * factor of each of `planes`; a row there is `factor` rows here, one to a phase.
template <class Body>
DLCORE_INLINE void each_fine_row(int64_t planes, int64_t factor, int64_t height, int64_t width,
                                 const Body& body) {
  const int64_t fine = height * factor;
  parallel_for(planes * fine, grain_for(width * factor), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t plane = row / fine, h = row % fine / factor, i = row % factor;
      body(((plane * factor + i) * factor * height + h) * width, row * width * factor);
    }
  });
}

// y (planes, height * factor, width * factor) of x (planes, factor, factor, height, width): pixel
// (i, j) of each square comes from channel (i, j).
template <class T>
void pixel_shuffle(const T* x, T* y, int64_t planes, int64_t factor, int64_t height,
                   int64_t width) {
  each_fine_row(planes, factor, height, width, [=](int64_t coarse, int64_t fine) {
    join_row<T>(x + coarse, height * width, 0, factor, width * factor, y + fine);
  });
}

// The inverse: y (planes, factor, factor, height, width) of x (planes, height * factor, ...).
template <class T>
void pixel_unshuffle(const T* x, T* y, int64_t planes, int64_t factor, int64_t height,
                     int64_t width) {
  each_fine_row(planes, factor, height, width, [=](int64_t coarse, int64_t fine) {
    split_row<T>(x + fine, width * factor, 0, factor, y + coarse, height * width);
  });
}

// y (batch, channels, groups, size) = x (batch, groups, channels, size), two axes swapped.
template <class T>
void channel_shuffle(const T* x, T* y, int64_t batch, int64_t groups, int64_t channels,
                     int64_t size) {
  const int64_t each = groups * channels;
  parallel_for(batch * each, grain_for(size), [=](int64_t begin, int64_t end) {
    for (int64_t to = begin; to < end; ++to) {
      const int64_t n = to / each, c = to % each / groups, g = to % groups;
      copy_row<T>(x + (n * each + g * channels + c) * size, size, y + to * size);
    }
  });
}

}  // namespace

DLCORE_EXPORT(pixel_shuffle)
DLCORE_EXPORT(pixel_unshuffle)
DLCORE_EXPORT(channel_shuffle)

}  // namespace DLCORE_ISA
}  // namespace dlcore
