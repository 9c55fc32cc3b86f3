// Arguments that the normalizations share.
#pragma once

#include "bindings/array.h"

namespace dlcore {

// An optional argument that must have the dtype of x and this shape.
inline Array parameter(const char* op, const char* name, py::handle object, const Array& x,
                       const Shape& shape) {
  Array a = optional_array(op, name, object);
  if (!a.defined()) return a;
  check_same_dtype(op, "x", x, name, a);
  CHECK(a.shape() == shape, op, ": ", name, " must have shape ", shape, ", got ", name,
        ".shape = ", a.shape());
  return a;
}

// Statistics that forward returned.
inline Array statistics(const char* op, const char* name, py::handle object, const Array& x,
                        int64_t count) {
  Array a(op, name, object);
  check_same_dtype(op, "x", x, name, a);
  CHECK(a.numel() == count, op, ": ", name, " must be what forward returned, got ", name,
        ".shape = ", a.shape());
  return a;
}

// An argument that must have the dtype and the shape of x.
inline Array like_x(const char* op, const char* name, py::handle object, const Array& x) {
  Array a(op, name, object);
  check_same_dtype(op, "x", x, name, a);
  CHECK(a.same_shape(x), op, ": ", name, " must have x.shape = ", x.shape(), ", got ", name,
        ".shape = ", a.shape());
  return a;
}

template <class T>
T* data_or_null(const Array& a) {
  return a.defined() ? a.data<T>() : nullptr;
}
inline py::object or_none(Array& a) {
  return a.defined() ? a.release() : py::object(py::none());
}

inline double parse_eps(const char* op, py::handle value) {
  const double eps = real_argument(op, "eps", value);
  CHECK(eps >= 0, op, ": eps must be at least 0, got ", eps);
  return eps;
}

}  // namespace dlcore
