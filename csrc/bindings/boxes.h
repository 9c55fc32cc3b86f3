// What the bindings of boxes share.
#pragma once

#include "bindings/array.h"

namespace dlcore {

// (..., 4): four numbers to a box.
inline Array boxes_argument(const char* op, const char* name, py::handle object) {
  Array boxes(op, name, object);
  CHECK(boxes.ndim() >= 1 && boxes.size(-1) == 4, op, ": ", name,
        " must have 4 numbers for each box, shape (N, 4), got ", name, ".shape = ", boxes.shape());
  return boxes;
}

// (N, 4).
inline Array box_list(const char* op, const char* name, py::handle object) {
  Array boxes(op, name, object);
  CHECK(boxes.ndim() == 2 && boxes.size(1) == 4, op, ": ", name, " must have shape (N, 4), got ",
        name, ".shape = ", boxes.shape());
  return boxes;
}

// An array of the dtype and shape of another.
inline Array array_like(const char* op, const char* like_name, const Array& like, const char* name,
                        py::handle object) {
  Array a(op, name, object);
  check_same_dtype(op, like_name, like, name, a);
  CHECK(a.same_shape(like), op, ": ", name, " must have ", like_name, ".shape = ", like.shape(),
        ", got ", name, ".shape = ", a.shape());
  return a;
}

inline Shape without_last(const Array& x) {
  return Shape(x.ndim() - 1, PyArray_DIMS(x.get()));
}

// The first `count` values that a kernel found: a copy, so that the room for all is not kept.
inline py::object first_of(Array& found, int64_t count) {
  if (count == found.size(0)) return found.release();
  return found.object()[py::slice(0, static_cast<py::ssize_t>(count), 1)].attr("copy")();
}

}  // namespace dlcore
