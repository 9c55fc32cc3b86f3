// What becomes of the losses of a batch.
#pragma once

#include <limits>

#include "bindings/array.h"

namespace dlcore {

enum class LossReduction { none, mean, sum };

inline LossReduction reduction_of(const char* op, py::handle name) {
  if (PyUnicode_Check(name.ptr())) {
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "mean") == 0) return LossReduction::mean;
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "sum") == 0) return LossReduction::sum;
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "none") == 0) return LossReduction::none;
  }
  throw py::value_error(text(op, ": reduction must be 'mean', 'sum' or 'none', got ", shown(name)));
}

// A reduced loss: an array without axes.
inline py::object scalar(const char* op, const Array& like, double value) {
  Array y = Array::empty(op, Shape{}, like.typenum());
  if (like.is_float())
    *y.data<float>() = static_cast<float>(value);
  else
    *y.data<double>() = value;
  return y.release();
}

// The sum of n terms over `count`, which may be 0: then NaN, as the mean of nothing.
inline double mean_of(double sum, double count) {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / count;
}

// What backward multiplies dy by.
inline double scale_of(LossReduction reduction, double denominator) {
  return reduction == LossReduction::mean ? 1 / denominator : 1;
}

// dy as the kernels take it: one value, or one for each target.
struct Incoming {
  Array dy;
  int64_t step;

  Incoming(const char* op, py::handle dy_, const Array& x, LossReduction reduction,
           const Shape& each)
      : dy(op, "dy", dy_) {
    check_same_dtype(op, "input", x, "dy", dy);
    const Shape wanted = reduction == LossReduction::none ? each : Shape{};
    CHECK(dy.shape() == wanted, op, ": dy must have the shape of the loss, ", wanted,
          ", got dy.shape = ", dy.shape());
    step = reduction == LossReduction::none ? 1 : 0;
  }
};

}  // namespace dlcore
