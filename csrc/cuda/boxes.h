// A box of (n, 4): corners, or any four columns.
#pragma once

#include "cuda/math.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Box {
  T x1, y1, x2, y2;

  __device__ T width() const { return x2 - x1; }
  __device__ T height() const { return y2 - y1; }
  __device__ T area() const { return width() * height(); }
};

template <class T>
__device__ Box<T> load_box(const T* p, int64_t i) {
  return {p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]};
}
template <class T>
__device__ void store_box(T* p, int64_t i, const Box<T>& box) {
  p[4 * i] = box.x1, p[4 * i + 1] = box.y1, p[4 * i + 2] = box.x2, p[4 * i + 3] = box.y2;
}

// The second where one is NaN.
template <class T>
__device__ T lower_of(T a, T b) {
  return a < b ? a : b;
}
template <class T>
__device__ T upper_of(T a, T b) {
  return a > b ? a : b;
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
