// Boxes one by one: formats, area, clipping, size. Measures of two boxes are in box_iou.cu. Bound
// by memory: four numbers read for each box. NaN propagates.

#include "cuda/boxes.h"
#include "cuda/compact.h"
#include "cuda/each.h"
#include "kernels/boxes.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// factor * x, and 0 for the factor 0 whatever x is: the other column's infinity stays its own.
template <class T>
__device__ T term(T factor, T x) {
  return factor == T(0) ? T(0) : factor * x;
}
template <class T>
struct Convert {
  const T* x;
  T* y;
  T a, b, c, d;
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> from = load_box(x, i);
    store_box(y, i,
              Box<T>{term(a, from.x1) + term(b, from.x2), term(a, from.y1) + term(b, from.y2),
                     term(c, from.x1) + term(d, from.x2), term(c, from.y1) + term(d, from.y2)});
  }
};

// (y1, y2 of each axis) = ((a, b), (c, d)) (x1, x2). Every change of format is such a map; its
// gradient is the map by the transposed matrix. y may be x.
template <class T>
void box_convert(const T* x, T* y, int64_t n, T a, T b, T c, T d) {
  each(n, 4 * n, Convert<T>{x, y, a, b, c, d});
}

template <class T>
struct Area {
  const T* x;
  T* y;
  template <class Index>
  __device__ void at(Index i) const {
    y[i] = load_box(x, i).area();
  }
};

// (x2 - x1) (y2 - y1), negative for a box turned inside out along one axis.
template <class T>
void box_area(const T* x, T* y, int64_t n) {
  each(n, 4 * n, Area<T>{x, y});
}

template <class T>
struct AreaBack {
  const T *x, *dy;
  T* dx;
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> box = load_box(x, i);
    const T across = dy[i] * box.height(), down = dy[i] * box.width();
    store_box(dx, i, Box<T>{-across, -down, across, down});
  }
};
template <class T>
void box_area_backward(const T* x, const T* dy, T* dx, int64_t n) {
  each(n, 4 * n, AreaBack<T>{x, dy, dx});
}

template <class T>
struct Clip {
  const T* x;
  T* y;
  T height, width;
  __device__ static T into(T v, T top) { return lower_of(top, upper_of(T(0), v)); }
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> box = load_box(x, i);
    store_box(y, i,
              Box<T>{into(box.x1, width), into(box.y1, height), into(box.x2, width),
                     into(box.y2, height)});
  }
};

// x1 and x2 into [0, width], y1 and y2 into [0, height]. y may be x.
template <class T>
void clip_boxes(const T* x, T* y, int64_t n, T height, T width) {
  each(n, 4 * n, Clip<T>{x, y, height, width});
}

template <class T>
struct ClipBack {
  const T *x, *dy;
  T* dx;
  T height, width;
  __device__ static T inside(T v, T top, T d) { return v >= T(0) && v <= top ? d : T(0); }
  template <class Index>
  __device__ void at(Index i) const {
    const Box<T> box = load_box(x, i), g = load_box(dy, i);
    store_box(dx, i,
              Box<T>{inside(box.x1, width, g.x1), inside(box.y1, height, g.y1),
                     inside(box.x2, width, g.x2), inside(box.y2, height, g.y2)});
  }
};
template <class T>
void clip_boxes_backward(const T* x, const T* dy, T* dx, int64_t n, T height, T width) {
  each(n, 4 * n, ClipBack<T>{x, dy, dx, height, width});
}

template <class T>
struct IsLarge {
  const T* x;
  int64_t* keep;
  T min_size;
  __device__ bool keeps(int64_t i) const {
    const Box<T> box = load_box(x, i);
    return box.width() >= min_size && box.height() >= min_size;
  }
  __device__ void to(int64_t place, int64_t i) const { keep[place] = i; }
};

// Indices of the boxes with both sides at least min_size; a side that is NaN is not.
template <class T>
void large_boxes(const T* x, int64_t* keep, int64_t* count, int64_t n, T min_size) {
  compact(n, IsLarge<T>{x, keep, min_size}, count);
}

}  // namespace

DLCORE_CUDA_EXPORT(box_convert)
DLCORE_CUDA_EXPORT(box_area)
DLCORE_CUDA_EXPORT(box_area_backward)
DLCORE_CUDA_EXPORT(clip_boxes)
DLCORE_CUDA_EXPORT(clip_boxes_backward)
DLCORE_CUDA_EXPORT(large_boxes)

}  // namespace DLCORE_ISA
}  // namespace dlcore
