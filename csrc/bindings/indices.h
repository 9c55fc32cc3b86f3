// Whole numbers that pick elements, checked.
#pragma once

#include <vector>

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

// The rows that an index names but for `padding`, each once and rising; of every place of the index
// that is not padding its row's number among them.
struct NamedRows {
  std::vector<int64_t> rows, slots, places;
  NamedRows(const char* op, const Indices& index, int64_t padding);
  Array row_numbers(const char* op) const;
};

}  // namespace dlcore
