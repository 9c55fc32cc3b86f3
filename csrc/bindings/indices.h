// Whole numbers that pick elements, checked.
#pragma once

#include "bindings/array.h"

namespace dlcore {

// int64, C-contiguous, and a copy: another thread may write to the argument after it was checked.
class Indices {
 public:
  Indices(const char* op, const char* name, py::handle object);
  // IndexError unless all are from `lowest` to size - 1.
  void check(const char* op, const char* name, int64_t size, int64_t lowest = 0) const;

  const int64_t* data() const { return static_cast<const int64_t*>(PyArray_DATA(get())); }
  int64_t count() const { return PyArray_SIZE(get()); }
  Shape shape() const { return Shape(PyArray_NDIM(get()), PyArray_DIMS(get())); }
  const py::object& object() const { return object_; }

 private:
  PyArrayObject* get() const { return reinterpret_cast<PyArrayObject*>(object_.ptr()); }
  py::object object_;
};

}  // namespace dlcore
