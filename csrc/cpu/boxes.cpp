// Boxes one by one: formats, area, clipping, size. Measures of two boxes are in box_iou.cpp.
//
// Bound by memory: four numbers read for each box. NaN propagates.

#include "cpu/boxes.h"

#include "kernels/boxes.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kBoxCost = 8;  // of a box read, turned into columns and written

// factor * x, and 0 for the factor 0 whatever x is: the other column's infinity stays its own.
template <class T>
DLCORE_INLINE Vec<T> term(T factor, Vec<T> x) {
  return factor == 0 ? Vec<T>{} : factor * x;
}

// (y1, y2 of each axis) = ((a, b), (c, d)) (x1, x2). Every change of format is such a map; its
// gradient is the map by the transposed matrix. y may be x.
template <class T>
void box_convert(const T* x, T* y, int64_t n, T a, T b, T c, T d) {
  each_vector_of_boxes<T>(n, kBoxCost, [=](int64_t i, int64_t count) {
    const Box<T> from = load_boxes<T>(x + 4 * i, count);
    store_boxes<T>(
        y + 4 * i, count,
        {term<T>(a, from.x1) + term<T>(b, from.x2), term<T>(a, from.y1) + term<T>(b, from.y2),
         term<T>(c, from.x1) + term<T>(d, from.x2), term<T>(c, from.y1) + term<T>(d, from.y2)});
  });
}

// (x2 - x1) (y2 - y1), negative for a box turned inside out along one axis.
template <class T>
void box_area(const T* x, T* y, int64_t n) {
  each_vector_of_boxes<T>(n, kBoxCost, [=](int64_t i, int64_t count) {
    store_lanes<T>(y + i, count, load_boxes<T>(x + 4 * i, count).area());
  });
}

template <class T>
void box_area_backward(const T* x, const T* dy, T* dx, int64_t n) {
  each_vector_of_boxes<T>(n, kBoxCost, [=](int64_t i, int64_t count) {
    const Box<T> box = load_boxes<T>(x + 4 * i, count);
    const Vec<T> g = load_lanes<T>(dy + i, count);
    const Vec<T> across = g * box.height(), down = g * box.width();
    store_boxes<T>(dx + 4 * i, count, {-across, -down, across, down});
  });
}

template <class T>
DLCORE_INLINE Vec<T> into(Vec<T> x, T top) {
  return min<T>(splat<T>(top), max<T>(Vec<T>{}, x));  // the second operand when it is NaN
}

// x1 and x2 into [0, width], y1 and y2 into [0, height]. y may be x.
template <class T>
void clip_boxes(const T* x, T* y, int64_t n, T height, T width) {
  each_vector_of_boxes<T>(n, kBoxCost, [=](int64_t i, int64_t count) {
    const Box<T> box = load_boxes<T>(x + 4 * i, count);
    store_boxes<T>(y + 4 * i, count,
                   {into<T>(box.x1, width), into<T>(box.y1, height), into<T>(box.x2, width),
                    into<T>(box.y2, height)});
  });
}

template <class T>
DLCORE_INLINE Vec<T> where_inside(Vec<T> x, T top, Vec<T> dy) {
  return ((x >= T(0)) & (x <= top)) ? dy : Vec<T>{};
}

template <class T>
void clip_boxes_backward(const T* x, const T* dy, T* dx, int64_t n, T height, T width) {
  each_vector_of_boxes<T>(n, kBoxCost, [=](int64_t i, int64_t count) {
    const Box<T> box = load_boxes<T>(x + 4 * i, count), g = load_boxes<T>(dy + 4 * i, count);
    store_boxes<T>(dx + 4 * i, count,
                   {where_inside<T>(box.x1, width, g.x1), where_inside<T>(box.y1, height, g.y1),
                    where_inside<T>(box.x2, width, g.x2), where_inside<T>(box.y2, height, g.y2)});
  });
}

// Indices of the boxes with both sides at least min_size; a side that is NaN is not.
template <class T>
void large_boxes(const T* x, int64_t* keep, int64_t* count, int64_t n, T min_size) {
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T* box = x + 4 * i;
    keep[kept] = i;
    kept += (box[2] - box[0] >= min_size) & (box[3] - box[1] >= min_size);
  }
  *count = kept;
}

}  // namespace

DLCORE_EXPORT(box_convert)
DLCORE_EXPORT(box_area)
DLCORE_EXPORT(box_area_backward)
DLCORE_EXPORT(clip_boxes)
DLCORE_EXPORT(clip_boxes_backward)
DLCORE_EXPORT(large_boxes)

}  // namespace DLCORE_ISA
}  // namespace dlcore
