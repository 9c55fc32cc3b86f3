#include "bindings/optim_lists.h"

#include <algorithm>

namespace dlcore {
namespace {

size_t at(Py_ssize_t i) {
  return static_cast<size_t>(i);
}

Shape shape_of(PyArrayObject* array) {
  return Shape(PyArray_NDIM(array), PyArray_DIMS(array));
}

}  // namespace

Lists::Lists(const char* op, const char* name, py::handle list) : op_(op) {
  spans_.reserve(4 * at(length(name, list)));
  params_ = written(name, list, nullptr);
}

Lists::Lists(const char* op, py::handle params, py::handle grads) : Lists(op, "params", params) {
  const Py_ssize_t n = length("grads", grads, "params");
  grads_.reserve(count());
  for (Py_ssize_t i = 0; i < n; ++i) {
    grads_.emplace_back(op, "a gradient", PyList_GET_ITEM(grads.ptr(), i));
    const Array& grad = grads_.back();
    const Shape shape = shape_of(params_[at(i)]);
    CHECK(grad.shape() == shape, op, ": a gradient must have its parameter's shape, got grads[", i,
          "].shape = ", grad.shape(), " and params[", i, "].shape = ", shape);
    CHECK_TYPE(grad.typenum() == PyArray_TYPE(params_[at(i)]), op,
               ": a gradient must have its parameter's dtype, got ", grad.dtype(), " in grads[", i,
               "]");
  }
}

Py_ssize_t Lists::length(const char* name, py::handle list, const char* first) const {
  CHECK_TYPE(PyList_Check(list.ptr()), op_, ": ", name, " must be a list of arrays");
  const Py_ssize_t n = PyList_GET_SIZE(list.ptr());
  CHECK(!first || at(n) == count(), op_, ": ", first, " and ", name, " must have one length, got ",
        count(), " and ", n);
  return n;
}

Arrays Lists::state(const char* name, py::handle list) {
  return list.is_none() ? Arrays() : written(name, list, &params_);
}

Arrays Lists::written(const char* name, py::handle list, const Arrays* like) {
  Arrays arrays(at(length(name, list, like ? "params" : nullptr)));
  for (Py_ssize_t i = 0; at(i) < arrays.size(); ++i) {
    PyObject* object = PyList_GET_ITEM(list.ptr(), i);
    CHECK_TYPE(PyArray_Check(object), op_, ": ", name, "[", i, "] must be a NumPy array, got ",
               Py_TYPE(object)->tp_name);
    PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
    const int type = PyArray_TYPE(array);
    if (like) {
      PyArrayObject* param = (*like)[at(i)];
      CHECK_TYPE(type == PyArray_TYPE(param), op_, ": ", name, "[", i,
                 "] must have the dtype of its parameter");
      CHECK(PyArray_SAMESHAPE(array, param), op_, ": ", name, "[", i,
            "] must have its parameter's shape ", shape_of(param), ", got ", shape_of(array));
    } else {
      CHECK_TYPE(
          type == NPY_FLOAT || type == NPY_DOUBLE, op_, ": ", name, "[", i,
          "] must be float32 or float64, got ",
          std::string(py::str(py::handle(reinterpret_cast<PyObject*>(PyArray_DESCR(array))))));
    }
    CHECK(PyArray_ISCARRAY(array), op_, ": ", name, "[", i,
          "] is stepped in place and must be writable, C-contiguous and native: pass a copy, "
          "np.array(..., order='C')");
    const uintptr_t begin = reinterpret_cast<uintptr_t>(PyArray_DATA(array));
    if (PyArray_SIZE(array) > 0)
      spans_.push_back({begin, begin + static_cast<uintptr_t>(PyArray_NBYTES(array)), name, i});
    arrays[at(i)] = array;
  }
  return arrays;
}

void* Lists::number(const char* name, py::handle list, Py_ssize_t i, int type,
                    const char* dtype) const {
  PyObject* object = PyList_GET_ITEM(list.ptr(), i);
  PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object);
  CHECK_TYPE(PyArray_Check(object) && PyArray_TYPE(array) == type && PyArray_SIZE(array) == 1 &&
                 PyArray_ISCARRAY(array),
             op_, ": ", name, "[", i, "] must be a writable ", dtype, " array of one element");
  return PyArray_DATA(array);
}

std::vector<int64_t*> Lists::counts(const char* name, py::handle list) const {
  std::vector<int64_t*> all(at(length(name, list, "params")));
  for (size_t i = 0; i < all.size(); ++i) {
    void* data = number(name, list, static_cast<Py_ssize_t>(i), NPY_INT64, "int64");
    all[i] = static_cast<int64_t*>(data);
    CHECK(*all[i] >= 0, op_, ": ", name, "[", i, "] must be at least 0, got ", *all[i]);
  }
  return all;
}

std::vector<double*> Lists::numbers(const char* name, py::handle list) const {
  std::vector<double*> all(at(length(name, list, "params")));
  for (size_t i = 0; i < all.size(); ++i)
    all[i] =
        static_cast<double*>(number(name, list, static_cast<Py_ssize_t>(i), NPY_DOUBLE, "float64"));
  return all;
}

void Lists::check_apart() {
  std::sort(spans_.begin(), spans_.end(),
            [](const Span& a, const Span& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < spans_.size(); ++i) {
    const Span &a = spans_[i - 1], &b = spans_[i];
    CHECK(a.end <= b.begin, op_, ": ", a.name, "[", a.index, "] and ", b.name, "[", b.index,
          "] share memory: pass each parameter once");
  }
}

}  // namespace dlcore
