// Windows that slide over height and width: the arguments pooling, im2col and conv2d share.
#pragma once

#include "bindings/array.h"

namespace dlcore {

struct Pair {
  int64_t h, w;
};

// An int or a pair of ints, each at least `least`: "<op>: stride must be at least 1, got 0".
inline Pair parse_pair(const char* op, const char* name, py::handle value, int64_t least) {
  const auto one = [&](py::handle item) -> int64_t {
    CHECK_TYPE(PyIndex_Check(item.ptr()) && !PyBool_Check(item.ptr()), op, ": ", name,
               " must be an int or a pair of ints, got ", shown(value));
    const Py_ssize_t n = PyNumber_AsSsize_t(item.ptr(), PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      CHECK(false, op, ": ", name, " is larger than any array, got ", shown(value));
    }
    CHECK(n >= least, op, ": ", name, " must be at least ", least, ", got ", shown(value));
    return n;
  };
  if (PyIndex_Check(value.ptr())) {
    const int64_t n = one(value);
    return {n, n};
  }
  CHECK_TYPE((PyTuple_Check(value.ptr()) || PyList_Check(value.ptr())) &&
                 PySequence_Size(value.ptr()) == 2,
             op, ": ", name, " must be an int or a pair of ints, got ", shown(value));
  const py::sequence pair = py::reinterpret_borrow<py::sequence>(value);
  return {one(pair[0]), one(pair[1])};
}

// One axis: input size, window, padding at its two ends.
struct Axis {
  const char* name;  // "height" or "width"
  int64_t size, kernel, stride, dilation, low, high;
};

// floor((size + low + high - dilation * (kernel - 1) - 1) / stride) + 1. ValueError when the
// window does not fit once; in ceil_mode it may reach beyond by less than a stride, as PyTorch's.
inline int64_t window_positions(const char* op, const Axis& a, bool ceil_mode = false) {
  const int64_t padded = checked_add(op, checked_add(op, a.size, a.low), a.high);
  const int64_t span = checked_add(op, checked_mul(op, a.dilation, a.kernel - 1), 1);
  if (ceil_mode && span > padded && span - padded < a.stride) return 1;
  CHECK(span <= padded, op, ": kernel_size must fit into the padded ", a.name, ", got a window of ",
        span, " over ", a.size, " + ", a.low, " + ", a.high, ": enlarge padding");
  const int64_t rest = padded - span;
  int64_t out = rest / a.stride + 1;
  // A last, partial window must begin inside the input or its left padding.
  if (ceil_mode && rest % a.stride != 0 && out <= (a.size + a.low - 1) / a.stride) ++out;
  return out;
}

// The stride of a single window and the dilation of a single tap mean nothing, however large: 1,
// so that no product of sizes in a kernel overflows.
inline void drop_unused(int64_t out, int64_t kernel, int64_t& stride, int64_t& dilation) {
  if (out == 1) stride = 1;
  if (kernel == 1) dilation = 1;
}

}  // namespace dlcore
